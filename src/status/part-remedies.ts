import type { PartName } from '../observe/health.ts';

const RABBITMQ_AWAY = 'Check RabbitMQ, and the network from there to it; docs/recover.md, "RabbitMQ is away".';

/** What to do while a part of an agent does not work, as a sentence. */
export const PART_REMEDIES: Readonly<Record<PartName, string>> = {
  store: 'Check the database, and the network from there to it; docs/recover.md, "The store is away".',
  management: RABBITMQ_AWAY,
  topology: RABBITMQ_AWAY,
  requests: RABBITMQ_AWAY,
  replies: RABBITMQ_AWAY,
  'round-trip': 'Find out what keeps requests waiting; docs/recover.md, "Requests time out".',
  auth: 'Check the network from there to Taskcluster; docs/recover.md, "Taskcluster is down".',
  alarms: 'Free memory or disk on the nodes of RabbitMQ, or raise the limit; docs/recover.md, "RabbitMQ has an alarm".',
  jobs: 'Find job_failed and scheduler_error in the log there; docs/recover.md, "Jobs fail or do not run".',
  cluster:
    'Start the nodes of RabbitMQ that are down, or end the split; docs/recover.md, "The log says cluster_split".',
  'broker-events':
    'Enable the plugin rabbitmq_event_exchange on every node, and check the rights of the agent\'s account with "pulse-agent verify"; docs/recover.md, "The log says broker_events_unavailable".',
  statistics: 'Let RabbitMQ collect statistics; docs/queues-and-notices.md, "A broker without statistics".',
  replicas: 'Start the nodes that are down, or add replicas; docs/recover.md, "The log says replicas_reduced".',
  deletions: 'Start the nodes that are down; docs/recover.md, "A namespace stays expiring".',
};
