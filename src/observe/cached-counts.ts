import type { Clock } from '../util/clock.ts';
import { rejectAfter, waitAtMost } from '../util/deadline.ts';
import { createCoalesced } from '../util/coalesced.ts';

interface CachedCountsOptions<T> {
  /** Counts; it may fail or hang. */
  readonly count: () => Promise<T>;
  /** Takes the counts; undefined when the latest count failed, as they are unknown then. */
  readonly set: (counts: T | undefined) => void;
  /** How long counts are reused, in ms. */
  readonly keepMs: number;
  /** How long a caller waits for a count, in ms; a slower one is set when it is done. */
  readonly patienceMs: number;
  /** The time limit of a count, in ms; a longer one has failed. */
  readonly limitMs: number;
  readonly clock: Clock;
}

/** Returns a function that refreshes counts. It does not throw. */
export function createCachedCounts<T>({
  count,
  set,
  keepMs,
  patienceMs,
  limitMs,
  clock,
}: CachedCountsOptions<T>): () => Promise<void> {
  const refresh = createCoalesced(
    () =>
      rejectAfter(limitMs, count()).then(set, (error: unknown) => {
        set(undefined);
        throw error;
      }),
    keepMs,
    clock,
  );
  return async () => {
    await waitAtMost(patienceMs, refresh());
  };
}
