import type { Clock } from './clock.ts';

/**
 * Returns a function that runs `work` at most once at a time: calls during a run, and within `keepMs` of its start, share its
 * result. The next call after a failure runs it again.
 */
export function createCoalesced<T>(work: () => Promise<T>, keepMs: number, clock: Clock): () => Promise<T> {
  let latest: { readonly result: Promise<T>; readonly startedMs: number; settled: boolean } | undefined;
  return () => {
    if (latest !== undefined && (!latest.settled || clock.monotonicMs() - latest.startedMs < keepMs)) {
      return latest.result;
    }
    const run = { result: work(), startedMs: clock.monotonicMs(), settled: false };
    latest = run;
    run.result.then(
      () => (run.settled = true),
      () => {
        if (latest === run) latest = undefined;
      },
    );
    return run.result;
  };
}
