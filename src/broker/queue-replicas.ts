import type { ContractNames } from '../contract/names.ts';
import type { ClusterNode, Management, ManagementCallOptions } from './management/management.ts';
import type { QuorumQueue } from './management/queue-members.ts';

/** A quorum queue that the agent declares, with the label of its metrics. */
export interface OwnQueue {
  readonly label: OwnQueueLabel;
  readonly vhost: string;
  readonly name: string;
}

type OwnQueueLabel = 'requests' | 'unknown-methods' | 'dead' | 'broker-events' | 'tenant-events';

/**
 * How well the replicas of a queue carry the loss of a node:
 * - `stopped`: no leader serves it;
 * - `fragile`: it is served, and one more failure stops it, although other nodes could carry it on;
 * - `lacking`: it has fewer replicas than running nodes could carry, or one on a node that has left the cluster;
 * - `complete`: nothing can be bettered.
 */
export type ReplicaState = 'stopped' | 'fragile' | 'lacking' | 'complete';

/** What one reading of the members and of the nodes says about a queue. */
export interface QueueReplicas extends OwnQueue {
  readonly state: ReplicaState;
  readonly leader?: string | undefined;
  readonly members: readonly string[];
  readonly online: readonly string[];
  /** The members of the cluster whose replica does not run. */
  readonly offline: readonly string[];
  /** The members whose node is no longer part of the cluster. */
  readonly departed: readonly string[];
  /** Running nodes that should get a replica, in this order. */
  readonly addable: readonly string[];
  /** Running nodes without a replica. */
  readonly spare: readonly string[];
}

/** More members make a quorum queue slower and hardly safer; RabbitMQ places as many by itself at most. */
const MAX_MEMBERS = 5;

/** All quorum queues that agents with these names declare. */
export function ownQuorumQueues(
  names: ContractNames,
  { requestVhost, eventVhost }: { readonly requestVhost: string; readonly eventVhost: string },
): OwnQueue[] {
  return [
    { label: 'requests', vhost: requestVhost, name: names.requestQueue },
    { label: 'unknown-methods', vhost: requestVhost, name: names.unknownMethodsQueue },
    { label: 'dead', vhost: requestVhost, name: names.deadQueue },
    { label: 'broker-events', vhost: eventVhost, name: names.brokerEventsQueue },
    { label: 'tenant-events', vhost: eventVhost, name: names.tenantEventsQueue },
  ];
}

/**
 * Reads the replicas of these queues, of those that exist. The nodes are listed last: a node that joins in between looks
 * as if it had no replica yet, and none looks as if it had left the cluster.
 *
 * @throws AgentError `BrokerUnavailable`, `BrokerRefused`
 */
export async function readReplicas(
  management: Pick<Management, 'getQuorumQueue' | 'listNodes'>,
  queues: readonly OwnQueue[],
  options: ManagementCallOptions,
): Promise<QueueReplicas[]> {
  const found = await Promise.all(
    queues.map(async (own) => ({ own, queue: await management.getQuorumQueue(own.vhost, own.name, options) })),
  );
  const nodes = await management.listNodes(options);
  return found.flatMap(({ own, queue }) => (queue === undefined ? [] : [assessReplicas(own, queue, nodes)]));
}

/**
 * Judges the replicas of a queue. A member on a node that is down counts as one, since the node may return: replicas that
 * are added whenever a node restarts would end on every node.
 */
export function assessReplicas(
  own: OwnQueue,
  queue: QuorumQueue,
  nodes: readonly Pick<ClusterNode, 'name' | 'running'>[],
): QueueReplicas {
  const { leader, members, online } = queue;
  const known = new Set(nodes.map(({ name }) => name));
  const running = nodes.filter((node) => node.running).map(({ name }) => name);
  const departed = members.filter((name) => !known.has(name));
  const offline = members.filter((name) => known.has(name) && !online.includes(name));
  const spare = running.filter((name) => !members.includes(name)).toSorted();
  // Without a leader no replica can be added.
  const wanted = leader === undefined ? 0 : Math.min(running.length, MAX_MEMBERS);
  const addable = spare.slice(0, Math.max(0, wanted - (members.length - departed.length)));
  const state = stateOf(queue, running.length, departed.length + addable.length > 0);
  return { ...own, state, leader, members, online, offline, departed, addable, spare };
}

function stateOf({ leader, members, online }: QuorumQueue, running: number, isLacking: boolean): ReplicaState {
  if (leader === undefined || online.length < majorityOf(members.length)) return 'stopped';
  // With two nodes the loss of one always stops the queue.
  const canHaveReserve = Math.max(members.length, running) >= 3;
  if (canHaveReserve && online.length === majorityOf(members.length)) return 'fragile';
  return isLacking ? 'lacking' : 'complete';
}

function majorityOf(members: number): number {
  return Math.floor(members / 2) + 1;
}

/** A replica to add. */
export interface ReplicaToAdd {
  readonly queue: OwnQueue;
  readonly node: string;
}

/**
 * The next replica to add to one of the queues, if any. One at a time: RabbitMQ
 * refuses a change of the members before the previous one is committed.
 */
export function nextReplica(
  queues: readonly QueueReplicas[],
  wasTried: (replica: ReplicaToAdd) => boolean,
): ReplicaToAdd | undefined {
  for (const queue of queues) {
    const node = queue.addable.find((name) => !wasTried({ queue, node: name }));
    if (node !== undefined) return { queue, node };
  }
  return undefined;
}

/** The first versions of RabbitMQ that add replicas over the management API; any later minor or major one does, too. */
const FIRST_WITH_CALL = [
  [3, 11, 19],
  [3, 12, 1],
] as const;

/** Whether this version of RabbitMQ adds replicas over its management API. */
export function hasReplicaCall(rabbitmqVersion: string): boolean {
  const [major = 0, minor = 0, patch = 0] = rabbitmqVersion.split(/[.+-]/).map((part) => Number.parseInt(part, 10));
  const first = FIRST_WITH_CALL.find(([ofMajor, ofMinor]) => major === ofMajor && minor === ofMinor);
  if (first !== undefined) return patch >= first[2];
  return major > 3 || (major === 3 && minor > 12);
}
