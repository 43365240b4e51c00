import type { AgentContext } from '../context.ts';
import { formatInstant } from '../contract/fields.ts';
import type { Health } from '../observe/health.ts';
import type { JobRun, JobRuns } from '../observe/job-runs.ts';
import { recordedHealth } from '../observe/recorded-health.ts';
import { AGENT_RECORD_EVERY_MS, type AgentRecord, type RecordedJob } from '../store/agent-records.ts';
import { type Attempt, compareAndSet, CONFLICT } from '../util/compare-and-set.ts';
import { waitAtMost } from '../util/deadline.ts';
import { createPolling } from '../util/polling.ts';
import { VERSION } from '../version.ts';

/** Keeps the record of an agent in the store, by which operators and other agents see it. */
export interface Presence {
  /** Writes the record soon, at each change of the health, and every {@link AGENT_RECORD_EVERY_MS}. */
  start(): void;
  /** Removes the record: the agent stops in order. Never rejects, and takes a second at most. */
  close(): Promise<void>;
}

interface PresenceParts {
  readonly health: Pick<Health, 'report'>;
  readonly jobRuns: Pick<JobRuns, 'byName'>;
  /** The ids of the agent secrets that this agent has; that of new passwords is the first. */
  readonly secretIds: readonly string[];
}

/** The pause between two checks of the health, in ms. */
const CHECK_EVERY_MS = 1_000;

/** How long a stop waits for the store, in ms: a record that stays is pruned by other agents. */
const REMOVAL_LIMIT_MS = 1_000;

/** Creates the presence of one agent. */
export function createPresence(
  {
    instance,
    store,
    clock,
    sleep,
    log,
  }: Pick<AgentContext, 'instance' | 'clock' | 'sleep' | 'log'> & {
    readonly store: Pick<AgentContext['store'], 'agents'>;
  },
  { health, jobRuns, secretIds }: PresenceParts,
): Presence {
  const { agents } = store;
  const startedMs = clock.nowMs();
  let written: { readonly atMs: number; readonly state: string } | undefined;
  let writing: Promise<unknown> = Promise.resolve();
  let isFailing = false;

  const writeOnce = async (): Promise<Attempt<true>> => {
    const report = health.report();
    const records = await agents.list();
    const known = records.find((record) => record.instance === instance);
    const record: AgentRecord = {
      instance,
      revision: (known?.revision ?? 0) + 1,
      version: VERSION,
      startedMs,
      seenMs: clock.nowMs(),
      ...recordedHealth(report),
      jobs: jobsOf(jobRuns.byName, records, instance),
      secretIds,
    };
    const isWritten = known === undefined ? agents.insert(record) : agents.replace(record, known.revision);
    return (await isWritten) || CONFLICT;
  };

  const write = async (state: string, signal: AbortSignal): Promise<void> => {
    const atMs = clock.monotonicMs();
    try {
      await compareAndSet(`the record of ${instance}`, signal, writeOnce);
      written = { atMs, state };
      isFailing = false;
    } catch (error) {
      signal.throwIfAborted();
      if (!isFailing) {
        log.warn({ code: 'agent_record_not_written', err: error }, 'could not write the record of this agent');
      }
      isFailing = true;
    }
  };

  const polling = createPolling(
    async (signal) => {
      const state = stateOf(health);
      const isDue = written === undefined || clock.monotonicMs() - written.atMs >= AGENT_RECORD_EVERY_MS;
      if (!isDue && state === written?.state) return;
      await (writing = write(state, signal));
    },
    () => CHECK_EVERY_MS,
    sleep,
  );

  const remove = async (): Promise<void> => {
    // A write in progress would bring it back.
    await writing.catch(() => undefined);
    await compareAndSet(`the record of ${instance}`, new AbortController().signal, async () => {
      const known = await agents.get(instance);
      return known === undefined || (await agents.remove(instance, known.revision)) || CONFLICT;
    });
  };

  return {
    start: () => polling.start(),
    async close() {
      await polling.close();
      await waitAtMost(REMOVAL_LIMIT_MS, remove());
    },
  };
}

/** What has to be written soon when it changes. The reasons change every second. */
function stateOf(health: Pick<Health, 'report'>): string {
  const { stopping, parts } = health.report();
  return [stopping, ...Object.values(parts).map(({ state }) => state)].join(' ');
}

/** The latest runs of each job, on this agent or, by the records of all, on any: one of the agents does each run. */
export function jobsOf(
  runs: ReadonlyMap<string, JobRun>,
  records: readonly Pick<AgentRecord, 'jobs'>[],
  instance: string,
): Record<string, RecordedJob> {
  const ofJob = (name: string): RecordedJob[] => records.flatMap(({ jobs }) => jobs[name] ?? []);
  return Object.fromEntries([...runs].map(([name, run]) => [name, latestRuns(run, ofJob(name), instance)]));
}

function latestRuns(run: JobRun, others: readonly RecordedJob[], instance: string): RecordedJob {
  const { everyMs, succeededMs, failedMs, error, tookMs } = run;
  const endedMs = Math.max(succeededMs ?? -Infinity, failedMs ?? -Infinity);
  const own: RecordedJob = {
    everyMs,
    ...(succeededMs === undefined ? {} : { succeeded: formatInstant(succeededMs) }),
    ...(failedMs === undefined || error === undefined ? {} : { failed: formatInstant(failedMs), error }),
    ...(tookMs === undefined ? {} : { run: { instance, ended: formatInstant(endedMs), tookMs: Math.round(tookMs) } }),
  };
  return others.reduce(laterOf, own);
}

/** Instants in ISO 8601 sort as text. */
function isLater(one: string | undefined, than: string | undefined): one is string {
  return one !== undefined && one > (than ?? '');
}

function laterOf(known: RecordedJob, { succeeded, failed, error, run }: RecordedJob): RecordedJob {
  return {
    ...known,
    ...(isLater(succeeded, known.succeeded) ? { succeeded } : {}),
    ...(isLater(failed, known.failed) && error !== undefined ? { failed, error } : {}),
    ...(run !== undefined && isLater(run.ended, known.run?.ended) ? { run } : {}),
  };
}
