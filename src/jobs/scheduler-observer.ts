import type { Agenda, Job, JobRepository } from 'agenda';
import { BoundedMap } from '../util/bounded-map.ts';

/** Observes a scheduler; for health and metrics. */
export interface SchedulerObserver {
  /** A poll for a due job succeeded or failed. */
  recordPoll(succeeded: boolean): void;
  /** A run started, `lagMs` after it was due. */
  recordStart(job: string, lagMs: number): void;
}

/** Jobs that were taken and not started; Agenda does not report those that it releases. */
const MAX_TAKEN = 1000;

/** Reports every poll and every run. Agenda reports a run only after it has computed the next one. */
export function observeScheduler(agenda: Agenda, repository: JobRepository, observer: SchedulerObserver): void {
  const dueMs = new BoundedMap<string, number>({ maxSize: MAX_TAKEN });
  const getNextJobToRun = repository.getNextJobToRun.bind(repository);
  repository.getNextJobToRun = async (...args) => {
    try {
      const job = await getNextJobToRun(...args);
      observer.recordPoll(true);
      if (job?.nextRunAt) dueMs.set(String(job._id), job.nextRunAt.getTime());
      return job;
    } catch (error) {
      observer.recordPoll(false);
      throw error;
    }
  };
  agenda.on('start', ({ attrs }: Job) => {
    const wasDueMs = dueMs.get(String(attrs._id));
    dueMs.delete(String(attrs._id));
    if (wasDueMs !== undefined) observer.recordStart(attrs.name, Math.max(0, Date.now() - wasDueMs));
  });
}
