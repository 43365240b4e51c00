import type { RecurringJob } from '../jobs/jobs.ts';
import type { Clock } from '../util/clock.ts';
import { OK, STOPPED } from './measure.ts';

/** The latest runs of one recurring job, in ms since the epoch. */
export interface JobRun {
  /** The longest pause between two runs of which none fails, in ms. */
  readonly everyMs: number;
  readonly succeededMs?: number | undefined;
  readonly failedMs?: number | undefined;
  /** The code of that failure. */
  readonly error?: string | undefined;
  /** How long the latest of these runs took, in ms; undefined: unknown. */
  readonly tookMs?: number | undefined;
}

/** The latest runs of the recurring jobs on this agent. */
export interface JobRuns {
  readonly byName: ReadonlyMap<string, JobRun>;
  readonly define: (jobs: readonly Pick<RecurringJob, 'name' | 'everyMs' | 'longestPauseMs'>[]) => void;
  /** Takes the outcome of a run, also of one outside of the schedule. */
  readonly observe: (job: string, outcome: string, durationMs?: number) => void;
}

/** Without a run. */
export function createJobRuns(clock: Pick<Clock, 'nowMs'>): JobRuns {
  const byName = new Map<string, JobRun>();
  /** Runs before the jobs are defined: the first reconciliation. */
  const early = new Map<string, Omit<JobRun, 'everyMs'>>();
  return {
    byName,
    define(jobs) {
      for (const { name, everyMs, longestPauseMs = everyMs } of jobs) {
        byName.set(name, { ...early.get(name), everyMs: Math.max(everyMs, longestPauseMs) });
      }
    },
    observe(job, outcome, tookMs) {
      if (outcome === STOPPED) return;
      const nowMs = clock.nowMs();
      const ended = outcome === OK ? { succeededMs: nowMs } : { failedMs: nowMs, error: outcome };
      const latest = { ...ended, tookMs };
      const known = byName.get(job);
      if (known === undefined) early.set(job, { ...early.get(job), ...latest });
      else byName.set(job, { ...known, ...latest });
    },
  };
}
