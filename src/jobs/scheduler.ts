import { setMaxListeners } from 'node:events';
import { Agenda, type Job } from 'agenda';
import type { Db } from 'mongodb';
import type { Log } from '../util/log.ts';
import type { Store } from '../store/store.ts';
import { patchAgendaLocks } from './agenda-lock-workaround.ts';
import type { JobBackend } from './job-backend.ts';
import { createJobRunner, type JobWork } from './job-runner.ts';
import type { JobTable } from './jobs.ts';
import { openJobBackend } from './open-job-backend.ts';
import { observeScheduler, type SchedulerObserver } from './scheduler-observer.ts';

export interface SchedulerOptions extends JobTable {
  /** Jobs are kept in its database, or in memory where it is embedded. */
  readonly store: Pick<Store, 'kind'> & { readonly db?: Db };
  readonly log: Log;
  readonly observer?: SchedulerObserver;
  /** How long a job of an agent that died stays locked, in ms; 4 seconds when absent. */
  readonly lockMs?: number;
  /** How often the recurring jobs are checked, in ms; 10 seconds when absent. */
  readonly checkEveryMs?: number;
}

/** Runs the jobs of one agent. */
export interface Scheduler {
  /** Rejects when the store does not answer. */
  start(): Promise<void>;
  /** See `Jobs.trigger`. Only after {@link start}. */
  trigger(name: string, subject: string, delayMs?: number): void;
  /** Starts no more jobs, aborts those that run, and waits for them: `timeoutMs`, and 5 seconds, at most. */
  drain(timeoutMs: number): Promise<void>;
  close(): Promise<void>;
}

/** The pause between two polls for due jobs, in ms: they are cheap, and a job is late by up to this. */
const POLL_EVERY_MS = 500;

/** Short, as the jobs of an agent that died are late by as much. A job that runs longer extends its lock. */
const LOCK_MS = 4_000;

/** Concurrent runs of one triggered job in one agent. */
const TRIGGERED_CONCURRENCY = 8;

/** While the store is down every poll fails; one line a minute is enough. */
const LOG_ERROR_EVERY_MS = 60_000;

/** How often the agent checks for recurring jobs that a wrong clock or a lost collection has stopped, in ms. */
const CHECK_EVERY_MS = 10_000;

/** Jobs abort when the agent stops, and each can be run again: they get no more than this, in ms. */
const MAX_DRAIN_MS = 5_000;

/**
 * Creates the scheduler. Agenda starts each job once across all agents as long as no lock runs out; that nothing is done
 * twice is up to the jobs.
 */
export function createScheduler(options: SchedulerOptions): Scheduler {
  const { recurring, triggered, store, log, observer, lockMs = LOCK_MS, checkEveryMs = CHECK_EVERY_MS } = options;
  const stopping = new AbortController();
  // Every call to the broker that a job makes listens to it.
  setMaxListeners(0, stopping.signal);
  const runner = createJobRunner({ log, lockMs, signal: stopping.signal });
  const logError = createErrorLog(log);
  const requested = new Set<string>();
  let agenda: Agenda | undefined;
  let checking: NodeJS.Timeout | undefined;

  const createAgenda = (backend: JobBackend): Agenda => {
    const { repository } = backend.agenda;
    patchAgendaLocks(repository, lockMs);
    const created = new Agenda({ backend: backend.agenda, processEvery: POLL_EVERY_MS, defaultLockLifetime: lockMs });
    if (observer !== undefined) observeScheduler(created, repository, observer);
    created.on('error', logError);
    runner.watch(created);
    return created;
  };

  const defineJobs = (target: Agenda): void => {
    const define = (name: string, work: JobWork, limits: Parameters<Agenda['define']>[2]): void =>
      // The first overload of `define` takes a function with a callback; this one has a single parameter.
      // oxlint-disable-next-line typescript/no-misused-promises
      target.define(name, (job: Job): Promise<void> => runner.run(name, work, job), limits);
    for (const job of recurring) {
      define(job.name, (signal) => job.run(signal), { concurrency: 1, lockLimit: 1 });
    }
    for (const job of triggered) {
      const limits = { concurrency: TRIGGERED_CONCURRENCY, lockLimit: TRIGGERED_CONCURRENCY, removeOnComplete: true };
      define(job.name, (signal, subject) => job.run(subject, signal), limits);
    }
  };

  const ensureRecurringJobs = async (backend: JobBackend): Promise<void> => {
    for (const job of recurring) await backend.ensureRecurring(job);
  };

  const releaseLocks = async (): Promise<void> => {
    await agenda
      ?.stop(false)
      .catch((error: unknown) =>
        log.warn({ code: 'job_locks_not_released', err: error }, 'failed to release job locks'),
      );
  };

  const drain = async (timeoutMs: number): Promise<void> => {
    if (stopping.signal.aborted) return;
    stopping.abort(new Error('The agent stops.'));
    clearInterval(checking);
    await releaseLocks();
    await runner.drain(Math.min(timeoutMs, MAX_DRAIN_MS));
  };

  return {
    async start() {
      const backend = await openJobBackend(store);
      agenda = createAgenda(backend);
      // `agenda.start` would wait for ever where this fails.
      await agenda.ready;
      defineJobs(agenda);
      await ensureRecurringJobs(backend);
      await agenda.start();
      checking = setInterval(() => void ensureRecurringJobs(backend).catch(logError), checkEveryMs).unref();
    },
    trigger(name, subject, delayMs = 0) {
      const key = `${name} ${subject}`;
      if (agenda === undefined || stopping.signal.aborted || requested.has(key)) return;
      requested.add(key);
      request(agenda, name, subject, delayMs)
        .catch((error: unknown) =>
          log.warn({ code: 'job_not_requested', err: error, job: name, subject }, 'could not request a job'),
        )
        .finally(() => requested.delete(key));
    },
    drain,
    close: () => drain(MAX_DRAIN_MS),
  };
}

async function request(agenda: Agenda, name: string, subject: string, delayMs: number): Promise<void> {
  await agenda
    .create(name, { subject })
    // A run in progress does not count: it may have read the store too early.
    .unique({ 'data.subject': subject, lockedAt: null }, { insertOnly: true })
    .schedule(new Date(Date.now() + delayMs))
    .save();
}

function createErrorLog(log: Log): (error: Error) => void {
  let loggedAtMs = -Infinity;
  return (error) => {
    if (performance.now() - loggedAtMs < LOG_ERROR_EVERY_MS) return;
    loggedAtMs = performance.now();
    // The driver's message names hosts at most; its other properties may hold more.
    log.warn({ code: 'scheduler_error', reason: `${error.name}: ${error.message}` }, 'job scheduler error');
  };
}
