import { setTimeout as sleepFor } from 'node:timers/promises';

/** The time; passed in, so that tests and simulations can move it. */
export interface Clock {
  /** Milliseconds since the epoch; jumps when the machine's clock is set. */
  nowMs(): number;
  /** Milliseconds since some fixed moment; never jumps. */
  monotonicMs(): number;
}

/** The clocks of this machine. */
export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
};

/** A moment by both clocks. */
export interface Moment {
  readonly wallMs: number;
  readonly monotonicMs: number;
}

/** This moment by both clocks. */
export function momentOf(clock: Clock): Moment {
  return { wallMs: clock.nowMs(), monotonicMs: clock.monotonicMs() };
}

/**
 * Milliseconds since `moment`: the larger of the two clocks' answers. A wall clock set back does not hide elapsed time,
 * and a suspended process, whose monotonic clock may have stood still, shows on the wall clock.
 */
export function elapsedSinceMs(clock: Clock, moment: Moment): number {
  return Math.max(clock.nowMs() - moment.wallMs, clock.monotonicMs() - moment.monotonicMs);
}

/** Resolves after `ms`; rejects when the signal aborts. Passed in for the same reason as the clock. */
export type Sleep = (ms: number, signal: AbortSignal) => Promise<void>;

/** Waits in the time of this machine. */
export const systemSleep: Sleep = (ms, signal) => sleepFor(ms, undefined, { signal });

/** A source of `size` random bytes; passed in for the same reason as the clock. */
export type RandomBytes = (size: number) => Buffer;
