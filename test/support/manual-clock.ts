import type { Clock } from '../../src/util/clock.ts';

/** A clock that moves only in {@link advance} and {@link setWall}. */
export interface ManualClock extends Clock {
  /** Lets this much time pass on both clocks. */
  advance(ms: number): void;
  /** Sets the wall clock only, as when the machine's clock is set. */
  setWall(ms: number): void;
}

/** Makes a clock that starts at this instant. */
export function createManualClock(wallMs: number = Date.parse('2026-11-24T12:00:00Z')): ManualClock {
  let wall = wallMs;
  let monotonic = 5000;
  return {
    nowMs: () => wall,
    monotonicMs: () => monotonic,
    advance(ms) {
      wall += ms;
      monotonic += ms;
    },
    setWall(ms) {
      wall = ms;
    },
  };
}
