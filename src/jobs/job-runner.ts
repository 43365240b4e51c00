import type { Agenda, Job } from 'agenda';
import { waitAtMost } from '../util/deadline.ts';
import type { Log } from '../util/log.ts';

/** One run of a job. It may return the pause until the start of the next one, in ms from the start of this one. */
export type JobWork = (signal: AbortSignal, subject: string) => Promise<number | void>;

interface JobRunnerOptions {
  readonly log: Log;
  /** How long a lock lasts, in ms. */
  readonly lockMs: number;
  /** Aborts the runs. */
  readonly signal: AbortSignal;
}

/** Runs jobs for Agenda. */
interface JobRunner {
  /** Follows which runs Agenda has started and not yet saved. */
  watch(agenda: Agenda): void;
  /** Runs a job, keeping its lock. It never rejects: Agenda would write the message into the store. */
  run(name: string, work: JobWork, job: Job): Promise<void>;
  /** Waits until every run is saved; abandons those that are not after `timeoutMs`. */
  drain(timeoutMs: number): Promise<void>;
}

/** Creates a runner without runs. */
export function createJobRunner({ log, lockMs, signal }: JobRunnerOptions): JobRunner {
  const running = new Set<Job>();
  /** Settles each run early: Agenda's timers would keep the process alive for a job that never settles. */
  const abandon = new Set<() => void>();
  let onSaved: (() => void) | undefined;

  /** Extends the lock until the returned function is called. The timer does not keep a stopped process alive. */
  const keepLock = (job: Job): (() => void) => {
    const timer = setInterval(() => void job.touch().catch(() => undefined), lockMs / 3).unref();
    return () => clearInterval(timer);
  };

  const untilAbandoned = async <T>(work: Promise<T>): Promise<T | void> =>
    await new Promise((resolve, reject) => {
      abandon.add(resolve);
      work.then(resolve, reject).finally(() => abandon.delete(resolve));
    });

  return {
    watch(agenda) {
      agenda.on('start', (job: Job) => void running.add(job));
      agenda.on('complete', (job: Job) => {
        running.delete(job);
        if (running.size === 0) onSaved?.();
      });
    },
    async run(name, work, job) {
      const { subject } = job.attrs.data as { subject?: string };
      const releaseLock = keepLock(job);
      const startedMs = Date.now();
      try {
        const nextAfterMs = await untilAbandoned(work(signal, subject ?? ''));
        // Agenda saves this with the end of the run, in place of the time that it computed at the start.
        if (typeof nextAfterMs === 'number') job.attrs.nextRunAt = new Date(startedMs + nextAfterMs);
      } catch (error) {
        if (!signal.aborted) log.warn({ code: 'job_failed', err: error, job: name, subject }, 'job failed');
      } finally {
        releaseLock();
      }
    },
    async drain(timeoutMs) {
      if (running.size === 0) return;
      await waitAtMost(timeoutMs, new Promise<void>((resolve) => (onSaved = resolve)));
      if (running.size === 0) return;
      const jobs = [...running].map(({ attrs }) => attrs.name);
      log.warn({ code: 'jobs_abandoned', jobs }, 'jobs still run at the stop deadline');
      for (const settle of abandon) settle();
    },
  };
}
