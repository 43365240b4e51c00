import { setTimeout as delay } from 'node:timers/promises';
import type { Clock } from '../util/clock.ts';
import { createShared } from './coalesced.ts';

/** What {@link createCounted} works with. */
export interface CountedParts<T> {
  /** Counts; it may fail or hang. */
  readonly count: () => Promise<T>;
  /** Takes what was counted; undefined when the latest count failed: what is not known is not told. */
  readonly set: (counts: T | undefined) => void;
  /** How long counts are good for, in ms, however often somebody asks. */
  readonly keepMs: number;
  /** How long an asker waits for a count, in ms; one that takes longer is taken when it is there. */
  readonly patienceMs: number;
  /** A count that takes longer has failed, in ms. */
  readonly limitMs: number;
  readonly clock: Clock;
}

/** Makes the function that brings counts up to date. It does not throw. */
export function createCounted<T>({
  count,
  set,
  keepMs,
  patienceMs,
  limitMs,
  clock,
}: CountedParts<T>): () => Promise<void> {
  const refresh = createShared(
    () =>
      within(limitMs, count()).then(set, (error: unknown) => {
        set(undefined);
        throw error;
      }),
    keepMs,
    clock,
  );
  return async () => {
    await Promise.race([refresh().catch(() => undefined), delay(patienceMs, undefined, { ref: false })]);
  };
}

/** Rejects when `work` takes longer. */
async function within<T>(limitMs: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no count within ${limitMs} ms`)), limitMs).unref();
  });
  return await Promise.race([work, late]).finally(() => clearTimeout(timer));
}
