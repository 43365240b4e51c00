import type { AgendaBackend } from 'agenda';

/** Where Agenda keeps its jobs. */
export interface JobBackend {
  readonly agenda: AgendaBackend;
  /**
   * Sees to it that there is a recurring job with this interval. One that is new is due now. One that waits for an instant
   * which is further away than its interval and its longest pause explain, or is locked from such an instant, was written
   * by a clock that was wrong: it is due now as well. Any other is left as it is, its lock too.
   *
   * @param longestMs the longest pause that a run asks for; `everyMs` when absent
   */
  keepRecurring(name: string, everyMs: number, longestMs?: number): Promise<void>;
}

/** More than the clocks of agents may differ, in ms. */
export const MOST_AHEAD_MS = 30_000;

/**
 * How far away the next run of a recurring job may be, in ms; what is further was written by a clock that was wrong.
 *
 * @param everyMs its interval
 * @param longestMs the longest pause that a run asks for
 */
export function latestRunMs(everyMs: number, longestMs: number): number {
  return Math.max(everyMs, longestMs) + MOST_AHEAD_MS;
}
