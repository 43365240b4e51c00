import type { JobParameters, JobRepository } from 'agenda';
import { elapsedSinceMs, type Moment, momentOf, systemClock } from '../util/clock.ts';

/** What Agenda is told of when a job was locked: never so long ago that it would drop it. */
const NEVER_EXPIRED = new Date(8.64e15);

/** A job that was locked here and has not begun. */
interface Waiting {
  readonly lockedAt: Date | undefined;
  readonly since: Moment;
}

/**
 * Changes Agenda's repository, in place, where Agenda 6 fails an agent that stands still for a while:
 *
 * - A job whose lock ran out between locking and beginning is dropped, and counted as locked for ever: with a limit of one
 *   this agent never does that job again. It needs no more than a process that was stopped for a moment, or a clock that
 *   was set forward. So Agenda is not told when the job was locked. When it begins late, whether the lock is still this
 *   agent's is looked up; if it is not, the job fails to begin, which Agenda survives.
 * - It unlocks without waiting, and a rejection that nobody handles would end the process.
 *
 * @param lockMs how long a lock lasts, in ms
 */
export function keepLocksOfRunningJobs(repository: JobRepository, lockMs: number): void {
  const waiting = new Map<string, Waiting>();
  const getNextJobToRun = repository.getNextJobToRun.bind(repository);
  const lockJob = repository.lockJob.bind(repository);
  const unlockJob = repository.unlockJob.bind(repository);
  const saveJobState = repository.saveJobState.bind(repository);

  const locked = (job: JobParameters | undefined): JobParameters | undefined => {
    if (job === undefined) return undefined;
    waiting.set(idOf(job), { lockedAt: job.lockedAt, since: momentOf(systemClock) });
    return { ...job, lockedAt: NEVER_EXPIRED };
  };
  const assertStillLocked = async (id: string, { lockedAt, since }: Waiting): Promise<void> => {
    if (elapsedSinceMs(systemClock, since) < lockMs) return;
    const stored = await repository.getJobById(id);
    if (stored?.lockedAt?.getTime() === lockedAt?.getTime()) return;
    throw new Error('A job was locked here for too long before it began: another agent has it.');
  };

  repository.getNextJobToRun = async (...args) => locked(await getNextJobToRun(...args));
  repository.lockJob = async (...args) => locked(await lockJob(...args));
  repository.unlockJob = async (job) => {
    waiting.delete(idOf(job));
    await unlockJob(job).catch(() => undefined);
  };
  repository.saveJobState = async (job, options) => {
    const id = idOf(job);
    const begins = waiting.get(id);
    waiting.delete(id);
    if (begins !== undefined) await assertStillLocked(id, begins);
    // A job that begins or that is touched is locked from now on.
    await saveJobState(job.lockedAt === undefined ? job : { ...job, lockedAt: new Date() }, options);
  };
}

function idOf({ _id }: JobParameters): string {
  return String(_id);
}
