import { type Clock, type Moment, momentOf } from '../util/clock.ts';
import { clockDifferenceMs, type Intervals } from './timing.ts';

/** The earliest and the latest instant that it may be now. They are equal unless the system clock stepped. */
export interface ClockBounds {
  /** For what must not happen too early, in ms since the epoch. */
  earliestMs(): number;
  /** For what must not happen too late, in ms since the epoch. */
  latestMs(): number;
}

/** Every promise is for less than this many rotation intervals. */
const MAX_PROMISE_INTERVALS = 2;

/**
 * Watches for steps of the wall clock: it moves against the monotonic clock by more than the clocks of two agents may
 * differ. The agent cannot know which of the two is right. If it believed a clock that was set forward by an hour, it
 * would invalidate credentials and delete queues an hour early; if it believed one that was set back, it would restore
 * passwords that other agents have replaced. So it believes both, each for what it makes later, until every promise
 * from before the step is over.
 *
 * @param onStep receives the size of each step, in ms.
 */
export function createClockBounds(clock: Clock, intervals: Intervals, onStep: (byMs: number) => void): ClockBounds {
  const toleranceMs = clockDifferenceMs(intervals);
  let trusted: Moment = momentOf(clock);
  let steppedAtMs: number | undefined;

  const read = (): readonly [earliestMs: number, latestMs: number] => {
    const now = momentOf(clock);
    const expectedMs = trusted.wallMs + now.monotonicMs - trusted.monotonicMs;
    const byMs = now.wallMs - expectedMs;
    const isStepped = Math.abs(byMs) > toleranceMs;
    if (isStepped && steppedAtMs === undefined) {
      steppedAtMs = now.monotonicMs;
      onStep(byMs);
    }
    const isOver = now.monotonicMs - (steppedAtMs ?? 0) >= MAX_PROMISE_INTERVALS * intervals.rotationMs;
    if (!isStepped || isOver) {
      trusted = now;
      steppedAtMs = undefined;
      return [now.wallMs, now.wallMs];
    }
    // Whole milliseconds, as the wall clock has: the bounds are written into records.
    return byMs > 0 ? [Math.floor(expectedMs), now.wallMs] : [now.wallMs, Math.ceil(expectedMs)];
  };
  return { earliestMs: () => read()[0], latestMs: () => read()[1] };
}
