import type { AlertLimits } from './decide-alert.ts';

/** A depth that was seen, in messages and ms since the epoch. */
export interface Sample {
  readonly messages: number;
  readonly seenMs: number;
}

/** Two samples that are closer together say nothing about a rate. */
const SHORTEST_BASE_MS = 500;

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
export function nextLookMs(
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

/** The sample from which the rate is measured once `next` has come: one that is too close is passed over. */
export function baseOf(before: Sample | undefined, latest: Sample, next: Sample): Sample | undefined {
  return next.seenMs - latest.seenMs >= SHORTEST_BASE_MS ? latest : before;
}
