/** The part of the table of log lines that is about the nodes of RabbitMQ and their management API. */
export const CLUSTER_LOG_CODES = {
  cluster_incomplete: { level: 'warn', meaning: 'Some nodes of RabbitMQ are missing, less than half; rotations wait.' },
  cluster_not_restored: {
    level: 'error',
    meaning: 'No reconciliation after a split yet; five failures end the waiting.',
  },
  cluster_restored: { level: 'info', meaning: 'Reconciled after a split; rotations and deletions go on.' },
  cluster_restoring: { level: 'info', meaning: 'RabbitMQ is one cluster again; the agent reconciles first.' },
  cluster_split: {
    level: 'error',
    meaning:
      'Nodes of RabbitMQ are separated, or half of them or more are missing. The agent changes nothing until they are one cluster; `reason` names them.',
  },
  cluster_unknown: { level: 'warn', meaning: 'No listing of the nodes for 10 s; the agent changes nothing.' },
  cluster_whole: { level: 'info', meaning: 'All nodes of RabbitMQ run in one cluster again.' },
  management_reachable: {
    level: 'info',
    meaning: 'The management API answers again, and the agent takes its share of requests.',
  },
  management_unreachable: {
    level: 'warn',
    meaning:
      'The management API answers at none of its addresses. The agent takes only requests that other agents cannot take.',
  },
  replica_added: {
    level: 'info',
    meaning: 'The agent added a replica of one of its `queue`s on a `node` that had none.',
  },
  replica_not_added: {
    level: 'warn',
    meaning: 'RabbitMQ did not add a replica of a queue of the agent; the next reconciliation tries again.',
  },
  replicas_complete: { level: 'info', meaning: 'The queues of the agent have all of their replicas again.' },
  replicas_reduced: {
    level: 'warn',
    meaning:
      'Queues of the agent have no leader, or would stop with one more failure, or could have more replicas; `advice` says what to do. See docs/recover.md.',
  },
  replicas_unknown: {
    level: 'warn',
    meaning: "The replicas of the agent's queues could not be read. Logged once until they are.",
  },
  stale_connection_ignored: {
    level: 'warn',
    meaning:
      'RabbitMQ still lists a connection long after it has closed it, which 3.10 does until its node restarts. The agent ignores it; it still counts for the limits of the account.',
  },
} as const;
