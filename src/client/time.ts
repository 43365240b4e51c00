import { setTimeout as delay } from 'node:timers/promises';

/** The library's clocks and random numbers. Tests replace them. */
export interface Time {
  /** The wall clock, in ms since the epoch. It jumps when the system clock is set. */
  nowMs(): number;
  /** A clock that never jumps, in ms since an arbitrary moment. */
  monotonicMs(): number;
  /** Resolves after `ms`, and rejects if the signal aborts first. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
  /** At least 0, less than 1. */
  random(): number;
}

/** The clocks and random numbers of this machine. */
export const systemTime: Time = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  sleep: (ms, signal) => delay(ms, undefined, { signal }),
  random: () => Math.random(),
};
