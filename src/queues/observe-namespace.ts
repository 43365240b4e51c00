import type { FoundQueue, FoundQueues, QueueStatistics } from '../broker/management/queue-search.ts';
import type { Management } from '../broker/management/management.ts';
import type { Config } from '../config/config.ts';
import { accountNames } from '../namespaces/accounts/account-names.ts';
import { BoundedMap } from '../util/bounded-map.ts';
import { type Clock, momentOf } from '../util/clock.ts';
import { createCoalesced } from '../util/coalesced.ts';
import { rejectAfter } from '../util/deadline.ts';
import type { Log } from '../util/log.ts';
import { createSemaphore } from '../util/semaphore.ts';
import type { QueueGrowth } from './forecast-queue.ts';
import { compareQueue, type ObservedAmounts, type QueueListing, rateBase } from './measure-growth.ts';
import { byDepth, type QueueHistory } from './queue-history.ts';

/** A queue as it was observed now, with what this agent remembers of it. What is undefined is unknown. */
export interface DescribedQueue extends Omit<FoundQueue, 'messages'> {
  readonly consumers: number | undefined;
  readonly growth: QueueGrowth;
  /** Its depth at each of the instants of {@link DescribedQueues}. */
  readonly trend: readonly (number | undefined)[];
}

/** The queues of a namespace, the deepest first. */
export interface DescribedQueues {
  /** When this agent observed the queues, in ms since the epoch, in ascending order; the last one is now. */
  readonly seenMs: readonly number[];
  readonly queues: readonly DescribedQueue[];
  /** Whether there are more queues. */
  readonly hasMore: boolean;
}

/** What a namespace has on the broker now. What is undefined is unknown, because RabbitMQ did not answer in time. */
export interface NamespaceObservation {
  /** The number of open connections of its accounts. */
  readonly connections: number | undefined;
  readonly queues: DescribedQueues | undefined;
}

/** Observes a namespace that exists since `createdMs`. It never rejects. */
export type ObserveNamespace = (namespace: string, createdMs: number) => Promise<NamespaceObservation>;

interface ObserveNamespaceParts {
  readonly management: Pick<Management, 'findQueues' | 'findQueueStatistics' | 'listUserConnections'>;
  readonly config: Pick<Config, 'vhost' | 'usernamePrefix'>;
  readonly history: QueueHistory;
  readonly clock: Clock;
  readonly log: Pick<Log, 'debug'>;
}

/** Requests about one namespace share an observation while it goes on, and from its start for so long, in ms. */
const KEPT_MS = 2_000;

/** Each walks over all queues of the broker; the rest waits. */
const CONCURRENCY = 2;

/** How long a request waits for an observation, in ms: it is answered within 9 s. */
const PATIENCE_MS = 6_000;

/** How many observations are kept for requests to share, and how many queues one shows. */
const MAX_NAMESPACES = 64;
const MAX_QUEUES = 100;

interface Observed {
  readonly connections: number | undefined;
  readonly listing: QueueListing | undefined;
  readonly depths: FoundQueues<FoundQueue> | undefined;
  readonly statistics: ReadonlyMap<string, QueueStatistics>;
}

const UNKNOWN: Observed = { connections: undefined, listing: undefined, depths: undefined, statistics: new Map() };

/**
 * Observes namespaces when clients ask about them. Growth is known from two observations only: from the second request on,
 * or from the next survey of this agent.
 */
export function createObserveNamespace(parts: ObserveNamespaceParts): ObserveNamespace {
  const { history, clock, log } = parts;
  const places = createSemaphore(CONCURRENCY);
  const shared = new BoundedMap<string, () => Promise<Observed>>({ maxSize: MAX_NAMESPACES });

  const start = async (namespace: string): Promise<Observed> => {
    const release = await places.acquire();
    try {
      history.watch(namespace);
      const observed = await observe(parts, namespace);
      if (observed.listing !== undefined) history.add(namespace, observed.listing);
      return observed;
    } finally {
      release();
    }
  };
  const observeShared = async (namespace: string): Promise<Observed> => {
    const observeOnce = shared.get(namespace) ?? createCoalesced(() => start(namespace), KEPT_MS, clock);
    shared.set(namespace, observeOnce);
    try {
      return await rejectAfter(PATIENCE_MS, observeOnce());
    } catch (error) {
      log.debug({ code: 'namespace_not_observed', err: error, namespace }, 'could not observe a namespace in time');
      return UNKNOWN;
    }
  };

  return async (namespace, createdMs) => {
    const { connections, listing, depths, statistics } = await observeShared(namespace);
    // What was seen before the first claim says nothing about the namespace.
    if (listing === undefined || depths === undefined || listing.depthsAt.wallMs < createdMs) {
      return { connections, queues: undefined };
    }
    const earlier = history.of(namespace).filter((known) => {
      const isOlder = known.depthsAt.monotonicMs < listing.depthsAt.monotonicMs;
      return isOlder && seenMsOf(known, listing) >= createdMs;
    });
    return { connections, queues: describeQueues(earlier, listing, depths, statistics) };
  };
}

async function observe(
  { management, config, clock, log }: ObserveNamespaceParts,
  namespace: string,
): Promise<Observed> {
  const { vhost, usernamePrefix } = config;
  const start = `queue/${namespace}/`;
  const orUnknown = async <T>(what: string, reading: Promise<T>): Promise<T | undefined> => {
    try {
      return await reading;
    } catch (error) {
      log.debug({ code: 'namespace_not_observed', err: error, namespace, what }, 'could not observe a namespace');
      return undefined;
    }
  };
  const counting = orUnknown(
    'connections',
    Promise.all(accountNames(usernamePrefix, namespace).map((account) => management.listUserConnections(account))),
  );
  // The sizes come before the depths, as in a survey.
  const sizesAt = momentOf(clock);
  const counted = await orUnknown('statistics', management.findQueueStatistics(vhost, start));
  const depthsAt = momentOf(clock);
  const depths = await orUnknown('queues', management.findQueues(vhost, start));
  const statistics = new Map((counted?.queues ?? []).map((queue) => [queue.name, queue]));
  const connections = (await counting)?.reduce((count, { length }) => count + length, 0);
  if (depths === undefined) return { ...UNKNOWN, connections };
  const amounts = new Map(
    depths.queues.map(({ name, messages }) => [name, { messages, counted: countedBytes(statistics.get(name)) }]),
  );
  return { connections, listing: { amounts, sizesAt, depthsAt }, depths, statistics };
}

function countedBytes(statistics: QueueStatistics | undefined): ObservedAmounts['counted'] {
  if (statistics?.bytes === undefined || statistics.messages === undefined) return undefined;
  const { name, bytes, messages } = statistics;
  return { name, bytes, messages };
}

function describeQueues(
  earlier: readonly QueueListing[],
  listing: QueueListing,
  depths: FoundQueues<FoundQueue>,
  statistics: Observed['statistics'],
): DescribedQueues {
  const found = new Map(depths.queues.map((queue) => [queue.name, queue]));
  const all = [...listing.amounts].toSorted(byDepth);
  const ageMs = ({ depthsAt }: QueueListing): number => listing.depthsAt.monotonicMs - depthsAt.monotonicMs;
  const queues = all.slice(0, MAX_QUEUES).map(([name]): DescribedQueue => {
    const { ready, unacknowledged } = found.get(name) ?? {};
    const base = {
      messages: rateBase(earlier, ageMs, (known) => known.amounts.get(name)?.messages !== undefined),
      bytes: rateBase(earlier, ageMs, (known) => known.amounts.get(name)?.counted !== undefined),
    };
    return {
      name,
      ready,
      unacknowledged,
      consumers: statistics.get(name)?.consumers,
      growth: compareQueue(name, base, listing),
      trend: [...earlier, listing].map(({ amounts }) => amounts.get(name)?.messages),
    };
  });
  return {
    seenMs: [...earlier.map((known) => seenMsOf(known, listing)), listing.depthsAt.wallMs],
    queues,
    hasMore: all.length > MAX_QUEUES || !depths.isComplete,
  };
}

/** By the monotonic clock: the wall clock may be set between two listings. */
function seenMsOf({ depthsAt }: QueueListing, { depthsAt: latest }: QueueListing): number {
  return latest.wallMs - (latest.monotonicMs - depthsAt.monotonicMs);
}
