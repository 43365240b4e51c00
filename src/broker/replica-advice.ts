import { shellQuoted } from '../util/shell-quoted.ts';
import { escapePattern, exactly } from './patterns.ts';
import type { OwnQueue, QueueReplicas, ReplicaState } from './queue-replicas.ts';

/** What an operator does about the replicas, in sentences; empty: nothing. */
export function adviseReplicas(id: string, queues: readonly QueueReplicas[], canAgentsAdd: boolean): string {
  const namesOf = (select: (queue: QueueReplicas) => readonly string[]): string[] =>
    [...new Set(queues.flatMap(select))].toSorted();
  const commands = namesOf(({ addable }) => addable).map((node) =>
    growCommand(
      id,
      node,
      queues.filter(({ addable }) => addable.includes(node)),
    ),
  );
  const grow = commands.length === 0 ? [] : [growAdvice(commands.join(' && '), canAgentsAdd)];
  // Without a leader RabbitMQ removes no member of a queue, and forgetting its node loses the queue.
  const needed = namesOf(({ state, offline }) => (state === 'stopped' ? offline : []));
  const start = namesOf(({ offline }) => offline).map((node) =>
    needed.includes(node)
      ? `Start ${node}.`
      : `Start ${node}, or, if it is lost for good, run "rabbitmqctl forget_cluster_node ${node}" on a node that runs.`,
  );
  const shrink = namesOf(({ departed }) => departed).map(
    (node) => `${node} is no longer part of the cluster: run "rabbitmq-queues shrink ${node}".`,
  );
  return [...start, ...shrink, ...grow].join(' ');
}

function growAdvice(command: string, canAgentsAdd: boolean): string {
  if (!canAgentsAdd) return `Run "${command}".`;
  return `The agents add the missing replicas at their next reconciliation; if they do not, run "${command}".`;
}

/** It also grows other queues of the same agent in these vhosts, where they lack the node: a replica there is wanted, too. */
function growCommand(id: string, node: string, queues: readonly OwnQueue[]): string {
  const vhosts = [...new Set(queues.map(({ vhost }) => exactly(vhost)))].join('|');
  const names = `^queue/${escapePattern(id)}/`;
  return `rabbitmq-queues grow ${node} all --vhost-pattern ${shellQuoted(vhosts)} --queue-pattern ${shellQuoted(names)}`;
}

/** What is wrong with the replicas, as a clause; undefined where they carry what they can. */
export function describeReplicas(queues: readonly QueueReplicas[]): string | undefined {
  const clauses = [
    ...clausesOf(queues, 'stopped', (labels, counts) => `no leader serves ${labels} (${counts} replicas online)`),
    ...clausesOf(queues, 'fragile', (labels, counts) => `one more failure stops ${labels} (${counts} replicas online)`),
    ...clausesOf(queues, 'lacking', (labels, counts) => `${labels} could have more replicas (${counts} online)`),
  ];
  return clauses.length === 0 ? undefined : clauses.join('; ');
}

/** A clause for each group of queues in this state with the same number of replicas. */
function clausesOf(
  queues: readonly QueueReplicas[],
  state: ReplicaState,
  clauseOf: (labels: string, counts: string) => string,
): string[] {
  const groups = new Map<string, string[]>();
  for (const queue of queues) {
    if (queue.state !== state) continue;
    const counts = `${queue.online.length} of ${queue.members.length}`;
    groups.set(counts, [...(groups.get(counts) ?? []), queue.label]);
  }
  return [...groups].map(([counts, labels]) => clauseOf(labels.join(', '), counts));
}
