import { type Clock, type Moment, momentOf } from '../util/clock.ts';
import { clockDifferenceMs, type Intervals } from './timing.ts';

/**
 * Between which instants it is now, as far as this process can tell: the same one twice, unless the machine's clock was set.
 */
export interface ClockBounds {
  /** For what must not happen too early, in ms since the epoch. */
  earliestMs(): number;
  /** For what must not happen too late, in ms since the epoch. */
  latestMs(): number;
}

/** What is promised at any time is promised for less than so many rotation intervals. */
const PROMISED_INTERVALS = 2;

/**
 * Watches for steps of the wall clock. When it moves against the monotonic clock by more than the clocks of two agents may
 * differ, nobody knows which of the two is right. Believing a clock that was set forward by an hour would take away
 * credentials and delete queues an hour early; believing one that was set back would restore passwords that others have
 * replaced. So both are believed, each for what it makes later, until all that was promised before the step is over.
 *
 * @param onStep told of each step, by how many ms.
 */
export function createClockBounds(clock: Clock, intervals: Intervals, onStep: (byMs: number) => void): ClockBounds {
  const tolerated = clockDifferenceMs(intervals);
  let trusted: Moment = momentOf(clock);
  let steppedAtMs: number | undefined;

  const look = (): readonly [number, number] => {
    const now = momentOf(clock);
    const expectedMs = trusted.wallMs + now.monotonicMs - trusted.monotonicMs;
    const byMs = now.wallMs - expectedMs;
    const isStepped = Math.abs(byMs) > tolerated;
    if (isStepped && steppedAtMs === undefined) {
      steppedAtMs = now.monotonicMs;
      onStep(byMs);
    }
    const isOver = now.monotonicMs - (steppedAtMs ?? 0) >= PROMISED_INTERVALS * intervals.rotationMs;
    if (!isStepped || isOver) {
      trusted = now;
      steppedAtMs = undefined;
      return [now.wallMs, now.wallMs];
    }
    // Whole, as the wall clock's: they are written into records.
    return byMs > 0 ? [Math.floor(expectedMs), now.wallMs] : [now.wallMs, Math.ceil(expectedMs)];
  };
  return { earliestMs: () => look()[0], latestMs: () => look()[1] };
}
