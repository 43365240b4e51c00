import type { Time } from './time.ts';

/**
 * A time on both clocks. It has come when one of them has reached it: the wall clock may be set back, and the monotonic clock
 * may stand still while the machine is suspended.
 */
export interface DueTime {
  readonly wallMs: number;
  readonly monotonicMs: number;
}

/** The time that is `wallMs` on the wall clock. */
export function dueAt(wallMs: number, time: Pick<Time, 'nowMs' | 'monotonicMs'>): DueTime {
  return { wallMs, monotonicMs: time.monotonicMs() + wallMs - time.nowMs() };
}

/** How long it takes until then, in ms; not above 0 if it has come. */
export function untilDueMs(due: DueTime, time: Pick<Time, 'nowMs' | 'monotonicMs'>): number {
  return Math.min(due.wallMs - time.nowMs(), due.monotonicMs - time.monotonicMs());
}
