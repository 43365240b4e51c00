import type { CountedBytes, Management } from '../broker/management/management.ts';
import type { Config } from '../config/config.ts';
import { type Clock, type Moment, momentOf, type Sleep } from '../util/clock.ts';
import { currentCount } from './current-count.ts';
import type { Growth, QueueGrowth } from './forecast-queue.ts';
import { type QueueLimitsConfig, areBytesWatched } from './queue-limits.ts';
import { namespaceOfQueue } from './queue-names.ts';

/** What {@link startGrowthMeasurement} works with. */
export interface MeasureGrowthParts {
  readonly management: Pick<Management, 'visitQueues' | 'listQueueBytes'>;
  readonly config: QueueLimitsConfig & Pick<Config, 'vhost'>;
  readonly clock: Clock;
  readonly sleep: Sleep;
}

/** A measurement that has begun. */
export interface GrowthMeasurement {
  /**
   * Lists the queues again, when `overMs` have passed since the first listing. With 0 it does not: the rates are unknown.
   *
   * @returns the queues of the latest listing
   * @throws AgentError `BrokerUnavailable`; the signal's reason
   */
  finish(overMs: number): Promise<Map<string, QueueGrowth>>;
}

/**
 * How long to measure, in ms. A quorum queue publishes its depth every 5 s: over twice that time two listings differ by what
 * came and went in two such periods.
 */
export const MEASURE_GROWTH_MS = 10_000;

/** A rate is measured over at most this, in ms, or else since the latest earlier observation that is not older than the other. */
const RATE_OVER_MS = 60_000;
const OLDEST_BASE_MS = 5 * 60_000;

/**
 * The observation since which a rate is measured; undefined: none can be used.
 *
 * @param earlier from the oldest on
 * @param ageMs how long before the latest one it was made
 */
export function rateBase<Observation>(
  earlier: readonly Observation[],
  ageMs: (observation: Observation) => number,
  isKnown: (observation: Observation) => boolean,
): Observation | undefined {
  const usable = earlier.filter(
    (one) => ageMs(one) >= MEASURE_GROWTH_MS && ageMs(one) <= OLDEST_BASE_MS && isKnown(one),
  );
  return usable.find((one) => ageMs(one) <= RATE_OVER_MS) ?? usable.at(-1);
}

/** What one listing showed of queues. */
export interface QueueListing {
  readonly amounts: ReadonlyMap<string, ObservedAmounts>;
  /** When the depths and the sizes were requested. */
  readonly depthsAt: Moment;
  readonly sizesAt: Moment;
}

/** Amounts of one queue. What is undefined is unknown, which is not 0. */
export interface ObservedAmounts {
  readonly messages: number | undefined;
  readonly counted: CountedBytes | undefined;
}

/**
 * Lists the queues of namespaces, for the first of two times: growth is known from two observations only.
 *
 * @param isWanted which of them to measure; all when absent
 * @throws AgentError `BrokerUnavailable`; the signal's reason
 */
export async function startGrowthMeasurement(
  parts: MeasureGrowthParts,
  signal: AbortSignal,
  isWanted: (queue: string) => boolean = () => true,
): Promise<GrowthMeasurement> {
  const first = await listAmounts(parts, isWanted, signal);
  return {
    async finish(overMs) {
      if (overMs === 0) return compareListings(undefined, first);
      const passedMs = parts.clock.monotonicMs() - first.sizesAt.monotonicMs;
      if (passedMs < overMs) await parts.sleep(overMs - passedMs, signal);
      return compareListings(first, await listAmounts(parts, isWanted, signal));
    },
  };
}

async function listAmounts(
  { management, config, clock }: MeasureGrowthParts,
  isWanted: (queue: string) => boolean,
  signal: AbortSignal,
): Promise<QueueListing> {
  const { vhost, namespacePrefix } = config;
  const sizes = new Map<string, CountedBytes>();
  const amounts = new Map<string, ObservedAmounts>();
  // The sizes come before the depths, as in a survey.
  const sizesAt = momentOf(clock);
  if (areBytesWatched(config)) {
    for (const counted of await management.listQueueBytes(vhost, { signal })) {
      if (isWanted(counted.name)) sizes.set(counted.name, counted);
    }
  }
  const depthsAt = momentOf(clock);
  await management.visitQueues(
    vhost,
    ({ name, messages }) => {
      if (namespaceOfQueue(namespacePrefix, name) === undefined || !isWanted(name)) return;
      amounts.set(name, { messages, counted: sizes.get(name) });
    },
    { signal },
  );
  return { amounts, sizesAt, depthsAt };
}

function compareListings(first: QueueListing | undefined, latest: QueueListing): Map<string, QueueGrowth> {
  const growth = new Map<string, QueueGrowth>();
  for (const queue of latest.amounts.keys()) {
    growth.set(queue, compareQueue(queue, { messages: first, bytes: first }, latest));
  }
  return growth;
}

/** How a queue that the latest listing shows has grown since an earlier one, in messages and in bytes. */
export function compareQueue(
  queue: string,
  earlier: { readonly messages: QueueListing | undefined; readonly bytes: QueueListing | undefined },
  latest: QueueListing,
): QueueGrowth {
  const amounts = latest.amounts.get(queue);
  if (amounts === undefined) return {};
  const [before, counted] = [earlier.messages?.amounts.get(queue), earlier.bytes?.amounts.get(queue)];
  return {
    messages: growthOf(before?.messages, earlier.messages?.depthsAt, amounts.messages, latest.depthsAt),
    bytes: growthOf(earlierBytes(counted, amounts), earlier.bytes?.sizesAt, currentBytes(amounts), latest.sizesAt),
  };
}

function growthOf(
  before: number | undefined,
  beforeAt: Moment | undefined,
  amount: number | undefined,
  at: Moment,
): Growth | undefined {
  if (amount === undefined) return undefined;
  const latest = { amount, seenMs: at.wallMs };
  if (before === undefined || beforeAt === undefined) return { latest };
  // By the monotonic clock: the wall clock may be set between two listings.
  return { latest, earlier: { amount: before, seenMs: at.wallMs - (at.monotonicMs - beforeAt.monotonicMs) } };
}

function currentBytes({ messages, counted }: ObservedAmounts): number | undefined {
  return currentCount(counted, messages)?.bytes;
}

/** Undefined where the statistics have not been collected again since, so that both listings show one count. */
function earlierBytes(earlier: ObservedAmounts | undefined, latest: ObservedAmounts): number | undefined {
  const isSameCount = earlier?.counted?.messages === latest.counted?.messages;
  if (earlier === undefined || (isSameCount && earlier.messages !== latest.messages)) return undefined;
  return currentBytes(earlier);
}
