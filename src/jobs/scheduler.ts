import { setMaxListeners } from 'node:events';
import { Agenda, type Job } from 'agenda';
import type { Db } from 'mongodb';
import type { Log } from '../util/log.ts';
import type { Store } from '../store/store.ts';
import { openJobBackend } from './open-job-backend.ts';
import type { RecurringJob, TriggeredJob } from './jobs.ts';
import { observeScheduler, type SchedulerObserver } from './scheduler-observer.ts';
import { keepLocksOfRunningJobs } from './agenda-lock-workaround.ts';

/** What {@link startScheduler} works with. */
export interface SchedulerOptions {
  /** Where the jobs are kept: in its database, or in memory when it is embedded. */
  readonly store: Pick<Store, 'kind'> & { readonly db?: Db };
  readonly recurring: readonly RecurringJob[];
  readonly triggered: readonly TriggeredJob[];
  readonly log: Log;
  /** Is told how it goes. */
  readonly observer?: SchedulerObserver;
  /** How long a job of an agent that died stays locked, in ms; 4 seconds when absent. */
  readonly lockMs?: number;
  /** How often the recurring jobs are put right, in ms; 10 seconds when absent. */
  readonly keepEveryMs?: number;
}

type Run = (signal: AbortSignal, subject: string) => Promise<number | void>;

/** The jobs of one agent. */
export interface Scheduler {
  /** See `Jobs.trigger`. */
  trigger(name: string, subject: string, delayMs?: number): void;
  /** Begins no more jobs, aborts those that run, and waits for them, at most so long, in ms. */
  stop(deadlineMs: number): Promise<void>;
}

/** How often each agent looks for jobs that are due, in ms: cheap, and what it adds to the time of a job. */
const LOOK_EVERY_MS = 500;

/** Short: the jobs of an agent that died are late by so much. What runs longer keeps its lock by touching it. */
const LOCK_MS = 4_000;

/** Triggered jobs of one kind that run at once in one agent. */
const TRIGGERED_AT_ONCE = 8;

/** A store that is down fails every look; saying so once in a while is enough. In ms. */
const SAY_AGAIN_MS = 60_000;

/** How often recurring jobs are looked at that a wrong clock or a lost collection may have stopped, in ms. */
const KEEP_EVERY_MS = 10_000;

/**
 * Starts the jobs. Agenda wakes them up, once for all agents as long as all goes well; that nothing is done twice is seen
 * to by the jobs themselves, as a lock that runs out stops nobody.
 */
export async function startScheduler(parts: SchedulerOptions): Promise<Scheduler> {
  const { recurring, triggered, log, lockMs = LOCK_MS, keepEveryMs = KEEP_EVERY_MS } = parts;
  const stopping = new AbortController();
  // Many calls of the broker listen to it at once.
  setMaxListeners(0, stopping.signal);
  const running = new Set<Job>();
  /** Ends the waiting for each job that runs: Agenda's timers would keep the process for one that never ends. */
  const abandon = new Set<() => void>();
  const backend = await openJobBackend(parts.store);
  keepLocksOfRunningJobs(backend.agenda.repository, lockMs);
  const agenda = new Agenda({ backend: backend.agenda, processEvery: LOOK_EVERY_MS, defaultLockLifetime: lockMs });
  if (parts.observer !== undefined) observeScheduler(agenda, backend.agenda.repository, parts.observer);
  const sayFault = sayOnceInAWhile(log);
  agenda.on('error', sayFault);
  agenda.on('start', (job: Job) => void running.add(job));
  agenda.on('complete', (job: Job) => void running.delete(job));
  // Agenda's own wait for it never ends when this fails.
  await agenda.ready;

  /** Runs it with its lock kept. Nothing is thrown: Agenda would write the message into the store. */
  const guarded = async (name: string, run: Run, job: Job): Promise<void> => {
    const { subject } = job.attrs.data as { subject?: string };
    const touching = setInterval(() => {
      job.touch().catch(() => undefined);
      // A job that never ends must not keep a stopped agent's process.
    }, lockMs / 3).unref();
    let giveUp: (() => void) | undefined;
    const startedMs = Date.now();
    try {
      const nextAfterMs = await new Promise<number | void>((resolve, reject) => {
        giveUp = resolve;
        abandon.add(giveUp);
        run(stopping.signal, subject ?? '').then(resolve, reject);
      });
      // Agenda saves it with the end of the run, in the place of what it computed at the beginning.
      if (typeof nextAfterMs === 'number') job.attrs.nextRunAt = new Date(startedMs + nextAfterMs);
    } catch (error) {
      if (!stopping.signal.aborted) log.warn({ code: 'job_failed', err: error, job: name, subject }, 'job failed');
    } finally {
      clearInterval(touching);
      if (giveUp !== undefined) abandon.delete(giveUp);
    }
  };
  const define = (name: string, run: Run, options: Parameters<Agenda['define']>[2]): void =>
    // Its first overload takes a function that calls back; this one, with one parameter, does not.
    // oxlint-disable-next-line typescript/no-misused-promises
    agenda.define(name, (job: Job): Promise<void> => guarded(name, run, job), options);
  for (const job of recurring) {
    define(job.name, (signal) => job.run(signal), { concurrency: 1, lockLimit: 1 });
  }
  for (const job of triggered) {
    define(job.name, (signal, subject) => job.run(subject, signal), {
      concurrency: TRIGGERED_AT_ONCE,
      lockLimit: TRIGGERED_AT_ONCE,
      removeOnComplete: true,
    });
  }
  const keepRecurring = async (): Promise<void> => {
    for (const { name, everyMs, longestPauseMs } of recurring)
      await backend.keepRecurring(name, everyMs, longestPauseMs);
  };
  await keepRecurring();
  await agenda.start();
  const keeping = setInterval(() => void keepRecurring().catch(sayFault), keepEveryMs).unref();

  const asking = new Set<string>();
  const ask = async (name: string, subject: string, delayMs: number): Promise<void> => {
    await agenda
      .create(name, { subject })
      // One that runs already may have looked too early.
      .unique({ 'data.subject': subject, lockedAt: null }, { insertOnly: true })
      .schedule(new Date(Date.now() + delayMs))
      .save();
  };
  return {
    trigger(name, subject, delayMs = 0) {
      const key = `${name} ${subject}`;
      if (stopping.signal.aborted || asking.has(key)) return;
      asking.add(key);
      ask(name, subject, delayMs)
        .catch((error: unknown) =>
          log.warn({ code: 'job_not_requested', err: error, job: name, subject }, 'could not request a job'),
        )
        .finally(() => asking.delete(key));
    },
    async stop(deadlineMs) {
      if (stopping.signal.aborted) return;
      stopping.abort(new Error('The agent stops.'));
      clearInterval(keeping);
      await agenda
        .stop(false)
        .catch((error: unknown) =>
          log.warn({ code: 'job_locks_not_released', err: error }, 'failed to release job locks'),
        );
      if (running.size === 0) return;
      await new Promise<void>((resolve) => {
        const timer = setTimeout(() => {
          log.warn(
            { code: 'jobs_abandoned', jobs: [...running].map(({ attrs }) => attrs.name) },
            'jobs still run at the stop deadline',
          );
          for (const giveUp of abandon) giveUp();
          resolve();
        }, deadlineMs);
        agenda.on('complete', () => {
          if (running.size > 0) return;
          clearTimeout(timer);
          resolve();
        });
      });
    },
  };
}

function sayOnceInAWhile(log: Log): (error: Error) => void {
  let saidMs = -Infinity;
  return (error) => {
    if (performance.now() - saidMs < SAY_AGAIN_MS) return;
    saidMs = performance.now();
    // The driver's message names hosts at most; its other properties may hold more.
    log.warn({ code: 'scheduler_error', reason: `${error.name}: ${error.message}` }, 'job scheduler error');
  };
}
