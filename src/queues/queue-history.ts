import { BoundedMap } from '../util/bounded-map.ts';
import type { Clock } from '../util/clock.ts';
import type { ObservedAmounts, QueueListing } from './measure-growth.ts';

/**
 * What this agent observed lately of the queues of the namespaces that it was asked about. It is in memory: another agent,
 * and this one after a start, knows nothing of it.
 */
export interface QueueHistory {
  /** The namespaces whose queues are remembered, because a client asked about them lately. */
  watched(): ReadonlySet<string>;
  /** Remembers the queues of this namespace from now on, for a while. */
  watch(namespace: string): void;
  /** Adds what was observed of the queues of a watched namespace. One soon after the previous one is left out. */
  add(namespace: string, listing: QueueListing): void;
  /** What is remembered of a namespace, from the oldest on. */
  of(namespace: string): readonly QueueListing[];
  /** Forgets a queue that was created or deleted: another one of its name may follow. */
  forget(namespace: string, queue: string): void;
}

/** At most 64 × 16 × 100 amounts are remembered, in about 10 MB. */
const MAX_NAMESPACES = 64;
const MAX_LISTINGS = 16;
const MAX_QUEUES = 100;

/** How many forgotten queues are remembered; beyond that everything about the namespace is forgotten. */
const MAX_FORGOTTEN = 1_000;

/** A namespace is watched for so long after the latest request about it, in ms. */
const WATCHED_MS = 15 * 60_000;

/** What is older says nothing about now, in ms. */
const MAX_AGE_MS = 15 * 60_000;

/** Two listings differ by at least this, in ms. */
const MIN_INTERVAL_MS = 4_000;

interface Watched {
  readonly askedMs: number;
  readonly listings: readonly QueueListing[];
  /** When queues were forgotten, by the monotonic clock: a listing that began before may still be added. */
  readonly forgotten: ReadonlyMap<string, number>;
}

/** Creates an empty history. */
export function createQueueHistory(clock: Pick<Clock, 'monotonicMs'>): QueueHistory {
  const isOver = ({ askedMs }: Watched): boolean => clock.monotonicMs() - askedMs > WATCHED_MS;
  const entries = new BoundedMap<string, Watched>({ maxSize: MAX_NAMESPACES, isExpired: isOver });
  const find = (namespace: string): Watched | undefined => {
    const found = entries.get(namespace);
    return found === undefined || isOver(found) ? undefined : found;
  };
  const recent = (listings: readonly QueueListing[]): QueueListing[] => {
    const nowMs = clock.monotonicMs();
    return listings.filter(({ depthsAt }) => nowMs - depthsAt.monotonicMs <= MAX_AGE_MS);
  };
  return {
    watched: () => new Set([...entries.keys()].filter((namespace) => find(namespace) !== undefined)),
    watch(namespace) {
      const { listings = [], forgotten = new Map() } = find(namespace) ?? {};
      entries.set(namespace, { listings, forgotten, askedMs: clock.monotonicMs() });
    },
    add(namespace, listing) {
      const found = find(namespace);
      if (found === undefined) return;
      const { listings, forgotten } = found;
      const latestMs = listings.at(-1)?.depthsAt.monotonicMs ?? -Infinity;
      if (listing.depthsAt.monotonicMs - latestMs < MIN_INTERVAL_MS) return;
      const amounts = deepest(
        [...listing.amounts].filter(([queue]) => (forgotten.get(queue) ?? -Infinity) < listing.sizesAt.monotonicMs),
      );
      const kept = [...recent(listings), { ...listing, amounts }].slice(-MAX_LISTINGS);
      entries.set(namespace, { ...found, listings: kept });
    },
    of: (namespace) => recent(find(namespace)?.listings ?? []),
    forget(namespace, queue) {
      const found = entries.get(namespace);
      if (found === undefined) return;
      const isFull = found.forgotten.size >= MAX_FORGOTTEN;
      const forgotten = new Map([...(isFull ? [] : found.forgotten), [queue, clock.monotonicMs()]]);
      const listings = isFull ? [] : found.listings.map((listing) => without(listing, queue));
      entries.set(namespace, { ...found, listings, forgotten });
    },
  };
}

function without(listing: QueueListing, queue: string): QueueListing {
  if (!listing.amounts.has(queue)) return listing;
  return { ...listing, amounts: new Map([...listing.amounts].filter(([name]) => name !== queue)) };
}

function deepest(amounts: readonly (readonly [string, ObservedAmounts])[]): QueueListing['amounts'] {
  return new Map(amounts.length <= MAX_QUEUES ? amounts : amounts.toSorted(byDepth).slice(0, MAX_QUEUES));
}

/** Orders queues by their depth; what is unknown comes last, and equal ones are in the order of their names. */
export function byDepth(a: readonly [string, ObservedAmounts], b: readonly [string, ObservedAmounts]): number {
  const order = (b[1].messages ?? -1) - (a[1].messages ?? -1);
  return order === 0 ? (a[0] < b[0] ? -1 : 1) : order;
}
