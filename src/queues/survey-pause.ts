/** The share of the time that one kind of listing may take: the broker has other work. */
const LISTING_SHARE = 0.05;

/** No listing starts sooner after the start of the one before, in ms. */
const MIN_PAUSE_MS = 1_000;

/**
 * From the start of one listing to the start of the next, in ms: so that listings take at most a twentieth of the time, and
 * at least every `maxPauseMs`.
 */
export function surveyPauseMs(listingMs: number, maxPauseMs: number): number {
  return Math.min(Math.max(listingMs / LISTING_SHARE, MIN_PAUSE_MS), maxPauseMs);
}
