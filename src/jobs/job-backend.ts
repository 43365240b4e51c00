import type { AgendaBackend } from 'agenda';
import type { RecurringJob } from './jobs.ts';

/** Where Agenda keeps its jobs. */
export interface JobBackend {
  readonly agenda: AgendaBackend;
  /**
   * Ensures that a recurring job exists with its interval. A new one is due now. One whose next run is further away than
   * its interval and longest pause allow, or whose lock is that far in the future, was written by a wrong clock: it is due
   * now as well. Any other stays as it is, its lock included.
   */
  ensureRecurring(job: Pick<RecurringJob, 'name' | 'everyMs' | 'longestPauseMs'>): Promise<void>;
}

/** A lock further in the future than this was written by a wrong clock, in ms: the clocks of agents differ by less. */
export const MAX_LOCK_AHEAD_MS = 30_000;

/** A next run further in the future than this was written by a wrong clock, in ms. */
export function maxRunAheadMs({
  everyMs,
  longestPauseMs = everyMs,
}: Pick<RecurringJob, 'everyMs' | 'longestPauseMs'>): number {
  return Math.max(everyMs, longestPauseMs) + MAX_LOCK_AHEAD_MS;
}
