import { setTimeout as delay } from 'node:timers/promises';

/** Where the library's time and chance come from; passed in, so that tests can move the one and choose the other. */
export interface Time {
  /** The wall clock, in ms since the epoch; may jump when somebody sets the machine's clock. */
  nowMs(): number;
  /** Milliseconds since some fixed moment; never jumps. */
  monotonicMs(): number;
  /** Resolves after so many ms, and rejects when the signal is aborted before. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
  /** A number from 0 to just below 1. */
  random(): number;
}

/** The clocks and the chance of this machine. */
export const systemTime: Time = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  sleep: (ms, signal) => delay(ms, undefined, { signal }),
  random: () => Math.random(),
};
