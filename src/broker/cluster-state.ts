import { type Clock, elapsedSinceMs, type Moment } from '../util/clock.ts';
import type { ClusterNode } from './management/management.ts';

/**
 * What one listing of the nodes shows:
 * - `whole`: all nodes run in one cluster, and none is separated from another;
 * - `incomplete`: some do not, and those that do are more than half of all. They are down, or cut off with less than half;
 * - `split`: nodes are separated, or no more than half of them run here: the others may go on without these.
 */
export type ClusterView =
  | { readonly is: 'whole' }
  | { readonly is: 'incomplete'; readonly reason: string }
  /** `isSmaller`: the node that was asked is separated from at least half of them. */
  | { readonly is: 'split'; readonly reason: string; readonly isSmaller: boolean };

/** What is known of the cluster, from all listings. */
export interface ClusterMemory {
  readonly view: ClusterView;
  /** When the listing of the view was requested. */
  readonly viewedAt: Moment;
  /** When the latest listing that showed a split was requested; undefined: none, or all was reconciled after it. */
  readonly splitAt: Moment | undefined;
  /**
   * Since when the same nodes have run as one cluster, by listings that follow each other closely: what was changed since
   * then is not lost. It is when the first of them was requested; undefined: the latest one failed, or showed a split.
   */
  readonly steadySince: Moment | undefined;
  readonly nodes: readonly ClusterNode[];
}

/**
 * - `unknown`: the nodes were not listed, or too long ago;
 * - `restoring`: they were split, and what each side changed is not reconciled yet;
 * - the others as in {@link ClusterView}.
 */
export type ClusterStatus =
  | { readonly is: 'whole' }
  | { readonly is: 'split'; readonly reason: string; readonly isSmaller: boolean }
  | { readonly is: 'incomplete' | 'restoring' | 'unknown'; readonly reason: string };

/** A listing older than this shows nothing any more, in ms. As long as the longest write window. */
export const CLUSTER_TRUST_MS = 10_000;

/**
 * For this long no listing may show a split before the cluster counts as one again, in ms. Behind a load balancer each listing
 * is answered by another node, and only some of them may see the split.
 */
const SETTLED_MS = 5_000;

/**
 * How long after the request of a listing the next one has to be answered to show that nothing was lost in between, in ms. A
 * node loses changes only by a restart, and is missing in listings for longer than this.
 */
const STEADY_GAP_MS = 5_000;

/** Judges one listing. */
export function viewCluster(nodes: readonly ClusterNode[]): ClusterView {
  const missing = nodes.filter(({ running }) => !running).map(({ name }) => name);
  const running = nodes.length - missing.length;
  const separated = nodes.filter(({ partitions = [] }) => partitions.length > 0);
  if (separated.length > 0) {
    const pairs = separated.map(({ name, partitions = [] }) => `${name} from ${partitions.join(' and ')}`);
    const reason = `RabbitMQ says that nodes are separated: ${pairs.join(', ')}`;
    return { is: 'split', reason, isSmaller: 2 * running <= nodes.length };
  }
  if (running > 0 && missing.length === 0) return { is: 'whole' };
  const counted = `${running} of ${nodes.length} nodes run; not running: ${missing.join(', ')}`;
  if (2 * running > nodes.length) return { is: 'incomplete', reason: counted };
  return { is: 'split', reason: `${counted}. These may be down, or go on without the others`, isSmaller: false };
}

/** What is known after another listing. Of two concurrent ones the older one may arrive later. */
export function rememberListing(
  memory: ClusterMemory | undefined,
  nodes: readonly ClusterNode[],
  requestedAt: Moment,
  answeredAt: Moment,
): ClusterMemory {
  const view = viewCluster(nodes);
  const splitAt = view.is === 'split' ? later(memory?.splitAt, requestedAt) : memory?.splitAt;
  const isOlder = memory !== undefined && requestedAt.monotonicMs < memory.viewedAt.monotonicMs;
  if (isOlder) return { ...memory, splitAt, steadySince: view.is === 'split' ? undefined : memory.steadySince };
  const isSteady = memory !== undefined && isSoonAfter(answeredAt, memory.viewedAt) && runsAsIn(memory, nodes);
  const steadySince = view.is === 'split' ? undefined : ((isSteady ? memory.steadySince : undefined) ?? requestedAt);
  return { view, viewedAt: requestedAt, splitAt, steadySince, nodes };
}

/** What is known after a listing that failed. */
export function rememberFailure(memory: ClusterMemory): ClusterMemory {
  return { ...memory, steadySince: undefined };
}

/** Whether nothing was lost that was changed at this moment or later, as far as listings show. */
export function isSteadySince({ steadySince }: ClusterMemory, moment: Moment): boolean {
  return steadySince !== undefined && steadySince.monotonicMs <= moment.monotonicMs;
}

/** What is known after a reconciliation that began at this moment. */
export function rememberReconciliation(memory: ClusterMemory, beganAt: Moment): ClusterMemory {
  const { splitAt } = memory;
  if (splitAt === undefined || splitAt.monotonicMs > beganAt.monotonicMs) return memory;
  return { ...memory, splitAt: undefined };
}

/** What holds now. */
export function clusterStatus(memory: ClusterMemory | undefined, clock: Clock): ClusterStatus {
  if (memory === undefined) return { is: 'unknown', reason: 'the nodes of RabbitMQ are not listed yet' };
  const ageMs = elapsedSinceMs(clock, memory.viewedAt);
  if (ageMs > CLUSTER_TRUST_MS) {
    return { is: 'unknown', reason: `RabbitMQ has not listed its nodes for ${Math.round(ageMs / 1000)} s` };
  }
  const { view, splitAt } = memory;
  if (view.is === 'split' || splitAt === undefined) return view;
  if (elapsedSinceMs(clock, splitAt) < SETTLED_MS) {
    return { is: 'split', reason: 'nodes of RabbitMQ were separated a moment ago', isSmaller: false };
  }
  return { is: 'restoring', reason: 'nodes of RabbitMQ were separated, and their accounts are not reconciled yet' };
}

function runsAsIn(memory: ClusterMemory, nodes: readonly ClusterNode[]): boolean {
  const before = namesOfRunning(memory.nodes);
  const now = namesOfRunning(nodes);
  return before.size === now.size && [...now].every((name) => before.has(name));
}

function namesOfRunning(nodes: readonly ClusterNode[]): ReadonlySet<string> {
  return new Set(nodes.filter(({ running }) => running).map(({ name }) => name));
}

/** By both clocks: for a process that was suspended the monotonic one may have stood still. */
function isSoonAfter(moment: Moment, earlier: Moment): boolean {
  const elapsedMs = Math.max(moment.wallMs - earlier.wallMs, moment.monotonicMs - earlier.monotonicMs);
  return elapsedMs <= STEADY_GAP_MS;
}

function later(one: Moment | undefined, other: Moment): Moment {
  return one !== undefined && one.monotonicMs > other.monotonicMs ? one : other;
}
