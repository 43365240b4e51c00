import type { Clock } from '../util/clock.ts';
import type { HealthCheck } from './health.ts';

/** Whether the schedule of jobs goes. */
export interface ScheduleWatch {
  /** A look for jobs that are due worked, or not. */
  readonly looked: (worked: boolean) => void;
  readonly look: () => HealthCheck;
}

/** Looks come twice a second for every job: none that worked for so long, in ms, and nothing is done any more. */
const PATIENCE_MS = 10_000;

/** The schedule is starting until its first look. */
export function createScheduleWatch(clock: Pick<Clock, 'monotonicMs'>): ScheduleWatch {
  let workedMs: number | undefined;
  return {
    looked(worked) {
      if (worked) workedMs = clock.monotonicMs();
    },
    look() {
      if (workedMs === undefined) return { state: 'starting', reason: 'no look for jobs has worked yet' };
      if (clock.monotonicMs() - workedMs <= PATIENCE_MS) return { state: 'up' };
      return { state: 'down', reason: `no look for jobs has worked for ${PATIENCE_MS / 1000} s` };
    },
  };
}
