import type { AlertLimits } from './decide-alert.ts';

/** An observed depth. `seenMs` is in ms since the epoch. */
export interface Sample {
  readonly messages: number;
  readonly seenMs: number;
}

/** Two samples closer together than this give no rate, in ms. */
const MIN_INTERVAL_MS = 500;

/** A difference of fewer messages is taken for noise. */
const MIN_DIFFERENCE = 20;

/** No queue is inspected again sooner, in ms. */
const MIN_PAUSE_MS = 250;

/**
 * A queue that reaches its threshold within this many ms is inspected when it does. One that takes longer is inspected
 * after this share of the time, to measure the rate again.
 */
const NEAR_MS = 1_500;
const EARLY_SHARE = 0.8;

/**
 * When a queue that grows at the rate of two samples could reach its next threshold, in ms after the latest sample.
 * Undefined when it does not grow, has passed all thresholds, or would take longer than `horizonMs`: a survey comes first.
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
  if (threshold === undefined || grown <= 0 || tookMs < MIN_INTERVAL_MS) return undefined;
  const leftMs = ((threshold - latest.messages) / grown) * tookMs;
  if (leftMs > horizonMs) return undefined;
  return Math.max(MIN_PAUSE_MS, leftMs > NEAR_MS ? leftMs * EARLY_SHARE : leftMs);
}

/** Whether a queue has grown by more than noise. */
export function hasClearlyGrown(earlier: Sample, later: Sample): boolean {
  return later.messages - earlier.messages >= MIN_DIFFERENCE;
}

/**
 * Whether a queue that grew from `before` to `latest`, and has not grown until `next`, may still be growing: at that rate
 * fewer than two messages were due.
 */
export function mayStillGrow(before: Sample, latest: Sample, next: Sample): boolean {
  const grown = latest.messages - before.messages;
  return grown * (next.seenMs - latest.seenMs) < 2 * (latest.seenMs - before.seenMs);
}

/**
 * The sample from which the rate until `next` is measured: the latest one, or an earlier one while the difference is too
 * small to give a rate.
 */
export function baseSample(before: Sample | undefined, latest: Sample, next: Sample): Sample {
  const isClear =
    next.seenMs - latest.seenMs >= MIN_INTERVAL_MS && Math.abs(next.messages - latest.messages) >= MIN_DIFFERENCE;
  return isClear ? latest : (before ?? latest);
}
