import { setTimeout as sleepFor } from 'node:timers/promises';

/** Where time comes from; passed in, so that tests and simulations can move it. */
export interface Clock {
  /** Milliseconds since the epoch; may jump when somebody sets the machine's clock. */
  nowMs(): number;
  /** Milliseconds since some fixed moment; never jumps. */
  monotonicMs(): number;
}

/** The clocks of this machine. */
export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
};

/** A moment on both clocks. */
export interface Moment {
  readonly wallMs: number;
  readonly monotonicMs: number;
}

/** This moment on both clocks. */
export function momentOf(clock: Clock): Moment {
  return { wallMs: clock.nowMs(), monotonicMs: clock.monotonicMs() };
}

/**
 * Milliseconds since `moment`: the larger of what the two clocks say. A wall clock set back does not hide elapsed time,
 * and a suspended process, whose monotonic clock may have stood still, shows on the wall clock.
 */
export function elapsedSinceMs(clock: Clock, moment: Moment): number {
  return Math.max(clock.nowMs() - moment.wallMs, clock.monotonicMs() - moment.monotonicMs);
}

/** Resolves after so many ms; rejects when the signal is aborted. Passed in for the same reason as the clock. */
export type Sleep = (ms: number, signal: AbortSignal) => Promise<void>;

/** Waits in this machine's time. */
export const systemSleep: Sleep = (ms, signal) => sleepFor(ms, undefined, { signal });

/**
 * Resolves when `work` has ended, however it did, and after so many ms of this machine's time at the latest. It never
 * rejects.
 */
export async function within(ms: number, work: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  await Promise.race([work, late]).catch(() => undefined);
  clearTimeout(timer);
}

/** A source of `size` random bytes; passed in for the same reason as the clock. */
export type RandomBytes = (size: number) => Buffer;
