import type { Agenda, Job, JobRepository } from 'agenda';

/** Is told how the schedule goes. */
export interface SchedulerObserver {
  /** A look for a job that is due worked, or not. */
  looked(worked: boolean): void;
  /** A run began, so long after it was due, in ms. */
  began(job: string, lagMs: number): void;
}

/** Jobs that were taken and not begun are given back, and nobody tells. */
const MOST_TAKEN = 1000;

/** Tells the observer of every look and every run. Agenda tells of a run only when its next time is set already. */
export function observeScheduler(agenda: Agenda, repository: JobRepository, observer: SchedulerObserver): void {
  const dueMs = new Map<string, number>();
  const take = repository.getNextJobToRun.bind(repository);
  repository.getNextJobToRun = async (...args) => {
    try {
      const job = await take(...args);
      observer.looked(true);
      if (dueMs.size >= MOST_TAKEN) dueMs.clear();
      if (job?.nextRunAt) dueMs.set(String(job._id), job.nextRunAt.getTime());
      return job;
    } catch (error) {
      observer.looked(false);
      throw error;
    }
  };
  agenda.on('start', ({ attrs }: Job) => {
    const wasDueMs = dueMs.get(String(attrs._id));
    dueMs.delete(String(attrs._id));
    if (wasDueMs !== undefined) observer.began(attrs.name, Math.max(0, Date.now() - wasDueMs));
  });
}
