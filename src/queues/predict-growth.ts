/** An observed amount, in messages or in bytes. `seenMs` is in ms since the epoch. */
export interface Sample {
  readonly amount: number;
  readonly seenMs: number;
}

/** What is predicted, and how finely. */
export interface GrowthLimits {
  /** In ascending order. */
  readonly thresholds: readonly number[];
  /** A smaller difference is taken for noise. */
  readonly noise: number;
  /** The amount by which a queue grows at a time. */
  readonly step: number;
  /**
   * A queue that has grown is inspected after this, in ms: its rate now differs from the average since the last survey, when
   * it may not have begun to grow.
   */
  readonly firstInspectionMs: number;
}

/** Two samples closer together than this give no rate, in ms. */
export const MIN_INTERVAL_MS = 500;

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
  { thresholds }: GrowthLimits,
  horizonMs: number,
): number | undefined {
  if (before === undefined) return undefined;
  const threshold = thresholds.find((amount) => amount > latest.amount);
  const grown = latest.amount - before.amount;
  const tookMs = latest.seenMs - before.seenMs;
  if (threshold === undefined || grown <= 0 || tookMs < MIN_INTERVAL_MS) return undefined;
  const leftMs = ((threshold - latest.amount) / grown) * tookMs;
  if (leftMs > horizonMs) return undefined;
  return Math.max(MIN_PAUSE_MS, leftMs > NEAR_MS ? leftMs * EARLY_SHARE : leftMs);
}

/** Whether a queue has grown by more than noise. */
export function hasClearlyGrown(earlier: Sample, later: Sample, { noise }: GrowthLimits): boolean {
  return later.amount - earlier.amount >= noise;
}

/**
 * Whether a queue that grew from `before` to `latest`, and has not grown until `next`, may still be growing: at that rate
 * fewer than two steps were due.
 */
export function mayStillGrow(before: Sample, latest: Sample, next: Sample, { step }: GrowthLimits): boolean {
  const grown = latest.amount - before.amount;
  return grown * (next.seenMs - latest.seenMs) < 2 * step * (latest.seenMs - before.seenMs);
}

/**
 * The sample from which the rate until `next` is measured: the latest one, or an earlier one while the difference is too
 * small to give a rate.
 */
export function baseSample(before: Sample | undefined, latest: Sample, next: Sample, { noise }: GrowthLimits): Sample {
  const isClear = next.seenMs - latest.seenMs >= MIN_INTERVAL_MS && Math.abs(next.amount - latest.amount) >= noise;
  return isClear ? latest : (before ?? latest);
}
