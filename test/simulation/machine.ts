import type { Clock, Sleep } from '../../src/util/clock.ts';
import type { Timeline } from './timeline.ts';

/** The wall clock's time at the start of a history. */
export const EPOCH_MS = Date.parse('2026-11-24T12:00:00Z');

/** What may happen to a process at one of its next steps. */
export type Mishap =
  | { readonly kind: 'crash' }
  /** Stopped; with `isSuspended` the machine is suspended, including its monotonic clock. */
  | { readonly kind: 'stall'; readonly ms: number; readonly isSuspended: boolean };

/** One process of an agent with its own clock; it may be stopped or die at any step. */
export interface Machine {
  readonly name: string;
  readonly clock: Clock;
  readonly sleep: Sleep;
  readonly isDead: boolean;
  /** Whether its writes mostly arrive at the last moment, and its reads immediately. */
  isSlow: boolean;
  /** Does something after a delay in ms; later if the process is stopped then, and never if it is dead. */
  after(delayMs: number, work: () => void): void;
  /** Marks a step, at which a due mishap happens. False: the process is dead. */
  step(): boolean;
  /** Schedules a mishap after this many steps. */
  arm(mishap: Mishap, steps: number): void;
  crash(): void;
  /** Sets the offset of the wall clock from true time. */
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
  let stoppedUntilMs = 0;
  let asleepMs = 0;
  let armed: { readonly mishap: Mishap; steps: number } | undefined;

  const whenRunning = (work: () => void): void => {
    if (isDead) return;
    if (timeline.nowMs() < stoppedUntilMs) {
      timeline.after(stoppedUntilMs - timeline.nowMs(), () => whenRunning(work));
    } else work();
  };
  const after = (delayMs: number, work: () => void): void => {
    if (delayMs <= 0) whenRunning(work);
    else timeline.after(delayMs, () => whenRunning(work));
  };
  const befall = (mishap: Mishap): void => {
    onMishap(mishap);
    if (mishap.kind === 'crash') isDead = true;
    else {
      stoppedUntilMs = timeline.nowMs() + mishap.ms;
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
          befall(mishap);
        }
      }
      return !isDead;
    },
    arm(mishap, steps) {
      armed = { mishap, steps };
    },
    crash() {
      if (!isDead) befall({ kind: 'crash' });
    },
    setOffset(ms) {
      offsetMs = ms;
    },
  };
}
