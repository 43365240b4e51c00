/** What part of the time surveys may take: the broker has other things to do. */
const SHARE = 0.05;

/** No survey comes sooner after another one, in ms. */
const SHORTEST_PAUSE_MS = 1_000;

/**
 * From the start of one survey to the start of the next, in ms: as often as it takes no more than a twentieth of the
 * time, and at least every `longestMs`.
 *
 * @param tookMs how long the listing took
 */
export function surveyPauseMs(tookMs: number, longestMs: number): number {
  return Math.min(Math.max(tookMs / SHARE, SHORTEST_PAUSE_MS), longestMs);
}
