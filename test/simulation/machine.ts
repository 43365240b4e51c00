import type { Clock, Sleep } from '../../src/util/clock.ts';
import type { Timeline } from './timeline.ts';

/** The wall clock's time when a history begins. */
export const EPOCH_MS = Date.parse('2026-11-24T12:00:00Z');

/** What may befall a process at its next steps. */
export type Mishap =
  | { readonly kind: 'crash' }
  /** Stopped; with `isSuspended` the whole machine sleeps, and its monotonic clock with it. */
  | { readonly kind: 'stall'; readonly ms: number; readonly isSuspended: boolean };

/** One process of an agent: it has a clock of its own, may be stopped at any step, and may die there. */
export interface Machine {
  readonly name: string;
  readonly clock: Clock;
  readonly sleep: Sleep;
  readonly isDead: boolean;
  /** Whether what it writes mostly arrives at the last moment, and what it reads at once. */
  isSlow: boolean;
  /** Does something in so many ms, later if the process is stopped then, and never if it is dead. */
  after(delayMs: number, work: () => void): void;
  /** A step from one thing to the next: where a mishap that is due happens. False: the process is dead. */
  step(): boolean;
  /** Has the mishap happen so many steps from now. */
  arm(mishap: Mishap, steps: number): void;
  crash(): void;
  /** Sets the wall clock to so much off the true time. */
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
