import type { Clock } from './clock.ts';

/** The latest result of some work, which is done at most once at a time. */
export interface KeptResult<T> {
  /** The latest result; a new one where there is none, or it is too old. */
  get(): Promise<T>;
  /** The result of a run that has not ended yet. */
  renew(): Promise<T>;
}

/**
 * Keeps the result of `work`. From half of its greatest age on, reading it also starts a run and does not wait for that: no
 * caller waits while it is read often.
 *
 * @param maxAgeMs how old a result may become, counted from the start of its run, given how long that took
 */
export function createKeptResult<T>(
  work: () => Promise<T>,
  maxAgeMs: (tookMs: number) => number,
  clock: Pick<Clock, 'monotonicMs'>,
): KeptResult<T> {
  let latest: { readonly value: T; readonly startedMs: number; readonly maxAgeMs: number } | undefined;
  let running: Promise<T> | undefined;
  const run = async (): Promise<T> => {
    const startedMs = clock.monotonicMs();
    try {
      const value = await work();
      latest = { value, startedMs, maxAgeMs: maxAgeMs(clock.monotonicMs() - startedMs) };
      return value;
    } finally {
      running = undefined;
    }
  };
  const renew = (): Promise<T> => (running ??= run());
  return {
    renew,
    async get() {
      if (latest === undefined) return await renew();
      const ageMs = clock.monotonicMs() - latest.startedMs;
      if (ageMs >= latest.maxAgeMs) return await renew();
      // Its failure concerns a later call, which starts another run.
      if (ageMs >= latest.maxAgeMs / 2) renew().catch(() => undefined);
      return latest.value;
    },
  };
}
