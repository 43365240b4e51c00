import type { OvergrownAction, QueueThresholds } from '../config/queue-rules.ts';
import { MIN_INTERVAL_MS, type Sample } from './predict-growth.ts';

/** An amount of one queue, in messages or in bytes, at one or two instants. */
export interface Growth {
  readonly latest: Sample;
  /** An earlier sample; absent: the rate is unknown. */
  readonly earlier?: Sample | undefined;
}

/** What was observed of one queue. An amount that is absent is unknown, which is not 0. */
export interface QueueGrowth {
  readonly messages?: Growth | undefined;
  readonly bytes?: Growth | undefined;
}

/** The threshold that a queue reaches next. */
export interface NextThreshold {
  /** What the agents do there. */
  readonly action: 'warn' | OvergrownAction;
  readonly unit: 'messages' | 'bytes';
  readonly at: number;
  /**
   * When it is reached at the present rate, in ms since the epoch, or was observed to be reached. Null: not at this rate;
   * undefined: the rate is unknown.
   */
  readonly reachedMs: number | null | undefined;
}

/** What follows from the growth of a queue. */
export interface QueueForecast {
  /** Negative while the queue shrinks; undefined: unknown. */
  readonly messagesPerMinute: number | undefined;
  readonly bytesPerMinute: number | undefined;
  /** Undefined where nothing is known of the depth, or nothing follows from it. */
  readonly next: NextThreshold | undefined;
}

/** A threshold further away is not reached at this rate, in ms: no rate stays the same for a year. */
const FARTHEST_MS = 366 * 24 * 3_600_000;

const MINUTE_MS = 60_000;

/**
 * What a queue does next at its present rate. It makes no decision: agents act on what they observe, not on this.
 *
 * @param nextAction what the agents do at the next threshold: `warn`, or what the rule says once the owner was warned; undefined: nothing
 */
export function forecastQueue(
  { messages, bytes }: QueueGrowth,
  nextAction: NextThreshold['action'] | undefined,
  limits: QueueThresholds,
): QueueForecast {
  const next =
    nextAction === undefined
      ? []
      : [
          reach(
            nextAction,
            'messages',
            messages,
            nextAction === 'warn' ? limits.warnAtMessages : limits.deleteAtMessages,
          ),
          reach(nextAction, 'bytes', bytes, nextAction === 'warn' ? limits.warnAtBytes : limits.deleteAtBytes),
        ].filter((threshold) => threshold !== undefined);
  return {
    messagesPerMinute: perMinute(messages),
    bytesPerMinute: perMinute(bytes),
    next: next.toSorted(byTime)[0]?.threshold,
  };
}

interface Reach {
  readonly threshold: NextThreshold;
  /** How much of it the queue holds. */
  readonly share: number;
}

function reach(
  action: NextThreshold['action'],
  unit: NextThreshold['unit'],
  growth: Growth | undefined,
  at: number | null,
): Reach | undefined {
  if (growth === undefined || at === null) return undefined;
  return { threshold: { action, unit, at, reachedMs: reachedMs(growth, at) }, share: growth.latest.amount / at };
}

function reachedMs(growth: Growth, at: number): NextThreshold['reachedMs'] {
  const { latest } = growth;
  if (latest.amount >= at) return latest.seenMs;
  const rate = perMinute(growth);
  if (rate === undefined) return undefined;
  const leftMs = rate <= 0 ? Infinity : ((at - latest.amount) / rate) * MINUTE_MS;
  return leftMs > FARTHEST_MS ? null : Math.round(latest.seenMs + leftMs);
}

function perMinute({ earlier, latest }: Partial<Growth> = {}): number | undefined {
  if (earlier === undefined || latest === undefined) return undefined;
  const tookMs = latest.seenMs - earlier.seenMs;
  return tookMs < MIN_INTERVAL_MS ? undefined : ((latest.amount - earlier.amount) / tookMs) * MINUTE_MS;
}

/** The one that comes first; of those without a time, the one that the queue is nearer to. */
function byTime(one: Reach, other: Reach): number {
  const [a, b] = [one.threshold.reachedMs ?? Infinity, other.threshold.reachedMs ?? Infinity];
  return a === b ? other.share - one.share : a - b;
}
