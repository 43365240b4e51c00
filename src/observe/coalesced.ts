import type { Clock } from '../util/clock.ts';

/**
 * Makes `work`, which costs something, for whoever asks: those that ask while it is under way, and for `keepMs` after
 * it was begun, get the same. What fails is tried again by the next one who asks.
 */
export function createShared<T>(work: () => Promise<T>, keepMs: number, clock: Clock): () => Promise<T> {
  let latest: { readonly result: Promise<T>; readonly begunMs: number; settled: boolean } | undefined;
  return () => {
    if (latest !== undefined && (!latest.settled || clock.monotonicMs() - latest.begunMs < keepMs)) {
      return latest.result;
    }
    const made = { result: work(), begunMs: clock.monotonicMs(), settled: false };
    latest = made;
    made.result.then(
      () => (made.settled = true),
      () => {
        if (latest === made) latest = undefined;
      },
    );
    return made.result;
  };
}
