import type { JobParameters, JobRepository } from 'agenda';
import { elapsedSinceMs, type Moment, momentOf, systemClock } from '../util/clock.ts';

/** The `lockedAt` that Agenda sees: never so old that it drops the job. */
const NEVER_EXPIRED = new Date(8.64e15);

/** A job that this agent has locked and not started. */
interface LockedJob {
  readonly lockedAt: Date | undefined;
  readonly since: Moment;
}

/**
 * Works around two faults of agenda 6.2.6 (`JobProcessor.jobProcessing`, `jobQueueFilling`):
 *
 * - A job whose lock runs out between locking and start is dropped and stays in `lockedJobs`. With a lock limit of one, this
 *   agent never runs that job again; a process suspended for a moment or a clock set forward is enough. So Agenda does not
 *   see when the job was locked. A job that starts late is checked against the store: if another agent has locked it, the
 *   start fails, which Agenda handles.
 * - `unlockJob` is called without `await`: a rejection would end the process.
 *
 * No longer needed when test/jobs/scheduler.test.ts passes without the call of this function.
 *
 * @param lockMs how long a lock lasts, in ms
 */
export function patchAgendaLocks(repository: JobRepository, lockMs: number): void {
  const locked = new Map<string, LockedJob>();
  const getNextJobToRun = repository.getNextJobToRun.bind(repository);
  const lockJob = repository.lockJob.bind(repository);
  const unlockJob = repository.unlockJob.bind(repository);
  const saveJobState = repository.saveJobState.bind(repository);

  const hideLockTime = (job: JobParameters | undefined): JobParameters | undefined => {
    if (job === undefined) return undefined;
    locked.set(idOf(job), { lockedAt: job.lockedAt, since: momentOf(systemClock) });
    return { ...job, lockedAt: NEVER_EXPIRED };
  };
  const assertStillLocked = async (id: string, { lockedAt, since }: LockedJob): Promise<void> => {
    if (elapsedSinceMs(systemClock, since) < lockMs) return;
    const stored = await repository.getJobById(id);
    if (stored?.lockedAt?.getTime() === lockedAt?.getTime()) return;
    throw new Error('The lock of a job ran out before its start, and another agent has locked it.');
  };

  repository.getNextJobToRun = async (...args) => hideLockTime(await getNextJobToRun(...args));
  repository.lockJob = async (...args) => hideLockTime(await lockJob(...args));
  repository.unlockJob = async (job) => {
    locked.delete(idOf(job));
    await unlockJob(job).catch(() => undefined);
  };
  repository.saveJobState = async (job, options) => {
    const id = idOf(job);
    const starting = locked.get(id);
    locked.delete(id);
    if (starting !== undefined) await assertStillLocked(id, starting);
    // The lock of a job that starts or is touched begins now.
    await saveJobState(job.lockedAt === undefined ? job : { ...job, lockedAt: new Date() }, options);
  };
}

function idOf({ _id }: JobParameters): string {
  return String(_id);
}
