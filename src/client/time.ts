import { setTimeout as delay } from 'node:timers/promises';

/** A moment on the wall clock, which somebody may set, and on one that only goes forward but may stand still in sleep. */
export interface Moment {
  /** Milliseconds since the epoch. */
  readonly wallMs: number;
  /** Milliseconds since some fixed moment. */
  readonly monotonicMs: number;
}

/** Where the library has time and chance from. */
export interface Surroundings {
  now(): Moment;
  /** A number from 0 up to and without 1. */
  random(): number;
}

/** Time and chance of this machine. */
export const thisMachine: Surroundings = {
  now: () => ({ wallMs: Date.now(), monotonicMs: performance.now() }),
  random: () => Math.random(),
};

/** Milliseconds from one moment to another: the larger of what the two clocks say, so that no way of losing time hides it. */
export function elapsedMs(since: Moment, now: Moment): number {
  return Math.max(now.wallMs - since.wallMs, now.monotonicMs - since.monotonicMs);
}

/**
 * Waits.
 *
 * @throws the signal's reason when it aborts
 */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  await delay(ms, undefined, { signal }).catch(() => undefined);
  signal.throwIfAborted();
}

/**
 * Gives what `promise` gives, but waits no longer than until the signal aborts.
 *
 * @throws the signal's reason when it aborts first
 */
export async function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  // Whoever stops waiting must not make a later failure one that nobody handles.
  promise.catch(() => undefined);
  signal.throwIfAborted();
  let stop: (() => void) | undefined;
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason as Error);
    signal.addEventListener('abort', stop, { once: true });
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    if (stop !== undefined) signal.removeEventListener('abort', stop);
  }
}

/**
 * How long to wait before the next try: doubling up to a limit, and somewhere in the upper half of that, so that many
 * clients that failed together do not come again together.
 *
 * @param failures in a row, at least 1
 */
export function backoffMs(failures: number, firstMs: number, mostMs: number, random: number): number {
  const whole = Math.min(mostMs, firstMs * 2 ** Math.min(failures - 1, 30));
  return whole * (0.5 + random / 2);
}
