import type { AlertLimits } from './decide-alert.ts';

/** A depth that was seen, in messages and ms since the epoch. */
export interface Sample {
  readonly messages: number;
  readonly seenMs: number;
}

/** Two samples that are closer together say nothing about a rate. */
const SHORTEST_BASE_MS = 500;

/** A difference of fewer messages is more chance than rate. */
const CLEAR_MESSAGES = 20;

/** No queue is looked at again sooner, in ms. */
const SHORTEST_PAUSE_MS = 250;

/** So near the threshold the next look is the one that decides; before, it comes early to measure the rate again. */
const NEAR_MS = 1_500;
const EARLY = 0.8;

/**
 * When a queue should be looked at again, in ms from its latest sample: when it could reach its next threshold at the
 * rate that two samples show. Undefined when it does not grow, has passed them all, or would take longer than
 * `horizonMs`: by then it will have been looked at anyway.
 */
export function nextInspectionMs(
  before: Sample | undefined,
  latest: Sample,
  { warnAtMessages, deleteAtMessages }: AlertLimits,
  horizonMs: number,
): number | undefined {
  if (before === undefined) return undefined;
  const threshold = [warnAtMessages, deleteAtMessages].find((messages) => messages > latest.messages);
  const grown = latest.messages - before.messages;
  const tookMs = latest.seenMs - before.seenMs;
  if (threshold === undefined || grown <= 0 || tookMs < SHORTEST_BASE_MS) return undefined;
  const leftMs = ((threshold - latest.messages) / grown) * tookMs;
  if (leftMs > horizonMs) return undefined;
  return Math.max(SHORTEST_PAUSE_MS, leftMs > NEAR_MS ? leftMs * EARLY : leftMs);
}

/** Whether a queue has grown by more than chance. */
export function isClearlyMore(earlier: Sample, later: Sample): boolean {
  return later.messages - earlier.messages >= CLEAR_MESSAGES;
}

/**
 * Whether a queue that grew from `before` to `latest` and has not grown since may all the same be growing: at that rate
 * less than two messages were to come until `next`.
 */
export function isTooSoonToTell(before: Sample, latest: Sample, next: Sample): boolean {
  const grown = latest.messages - before.messages;
  return grown * (next.seenMs - latest.seenMs) < 2 * (latest.seenMs - before.seenMs);
}

/**
 * The sample from which the rate is measured once `next` has come: the latest one, or an earlier one as long as the
 * difference is too small to show a rate.
 */
export function baseOf(before: Sample | undefined, latest: Sample, next: Sample): Sample {
  const isClear =
    next.seenMs - latest.seenMs >= SHORTEST_BASE_MS && Math.abs(next.messages - latest.messages) >= CLEAR_MESSAGES;
  return isClear ? latest : (before ?? latest);
}
