import type { Clock, Sleep } from '../../src/util/clock.ts';
import type { Timeline } from './timeline.ts';

/** The true time at which a history begins, in ms since the epoch. */
export const EPOCH_MS = Date.parse('2026-11-24T12:00:00Z');

/** What may happen to a process at one of its next steps. */
export type Mishap =
  | { readonly kind: 'crash' }
  /** The process stalls; with `isSuspended` the whole machine does, and its monotonic clock with it. */
  | { readonly kind: 'stall'; readonly ms: number; readonly isSuspended: boolean };

/** One process of an agent. It has its own clock, and may stall or die at any step. */
export interface Machine {
  readonly name: string;
  readonly clock: Clock;
  readonly sleep: Sleep;
  readonly isDead: boolean;
  /** Whether its writes mostly arrive at the last moment, and its reads fast. */
  isSlow: boolean;
  /** Runs work after this many ms; later if the process stalls then, and never if it is dead. */
  after(delayMs: number, work: () => void): void;
  /** A point between two operations, at which a due mishap happens. False: the process is dead. */
  step(): boolean;
  /** Makes the mishap happen this many steps from now. */
  arm(mishap: Mishap, steps: number): void;
  crash(): void;
  /** Sets the difference of the wall clock from the true time, in ms. */
  setOffset(ms: number): void;
}

/** Starts a process. */
export function startMachine(
  name: string,
  timeline: Timeline,
  offset: number,
  onMishap: (mishap: Mishap) => void,
): Machine {
  let offsetMs = offset;
  let isDead = false;
  let stalledUntilMs = 0;
  let asleepMs = 0;
  let armed: { readonly mishap: Mishap; steps: number } | undefined;

  const whenRunning = (work: () => void): void => {
    if (isDead) return;
    if (timeline.nowMs() < stalledUntilMs) {
      timeline.after(stalledUntilMs - timeline.nowMs(), () => whenRunning(work));
    } else work();
  };
  const after = (delayMs: number, work: () => void): void => {
    if (delayMs <= 0) whenRunning(work);
    else timeline.after(delayMs, () => whenRunning(work));
  };
  const suffer = (mishap: Mishap): void => {
    onMishap(mishap);
    if (mishap.kind === 'crash') isDead = true;
    else {
      stalledUntilMs = timeline.nowMs() + mishap.ms;
      if (mishap.isSuspended) asleepMs += mishap.ms;
    }
  };

  return {
    name,
    clock: {
      nowMs: () => EPOCH_MS + timeline.nowMs() + offsetMs,
      monotonicMs: () => timeline.nowMs() - asleepMs,
    },
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        after(ms, () => (signal.aborted ? reject(signal.reason as Error) : resolve()));
      }),
    get isDead() {
      return isDead;
    },
    isSlow: false,
    after,
    step() {
      if (armed !== undefined) {
        armed.steps -= 1;
        if (armed.steps <= 0) {
          const { mishap } = armed;
          armed = undefined;
          suffer(mishap);
        }
      }
      return !isDead;
    },
    arm(mishap, steps) {
      armed = { mishap, steps };
    },
    crash() {
      if (!isDead) suffer({ kind: 'crash' });
    },
    setOffset(ms) {
      offsetMs = ms;
    },
  };
}
