import { noAudit } from '../audit/audit.ts';
import { openManagement } from '../broker/management/open-management.ts';
import { assertNotForeign } from '../broker/marker.ts';
import type { Config } from '../config/config.ts';
import type { AgentContext } from '../context.ts';
import type { RecurringJob } from '../jobs/jobs.ts';
import { namespaceJobs } from '../jobs/job-table.ts';
import { createScheduler } from '../jobs/scheduler.ts';
import { createOverlay } from '../plan/overlay.ts';
import { planSurvey } from '../plan/plan-survey.ts';
import { openStoreToRead } from '../store/open-store-to-read.ts';
import type { StoreReader } from '../store/store-reader.ts';
import { createOutageLog } from '../observe/outage-log.ts';
import { AgentError } from '../util/agent-errors.ts';
import { type Clock, systemClock } from '../util/clock.ts';
import type { Log } from '../util/log.ts';
import { createLifecycle } from './lifecycle.ts';
import { PROBE_TIMEOUT_MS } from './open-context.ts';

/** A running dry run. */
export interface DryRun {
  stop(): Promise<void>;
}

/** What a caller may replace in a dry run. */
export interface DryRunOptions {
  readonly log: Log;
  /** Aborts the start. */
  readonly signal?: AbortSignal;
  readonly clock?: Clock;
}

/**
 * Starts an agent that changes nothing, beside those that do: it serves no requests, declares nothing, publishes nothing,
 * and only reads the store. It logs what its jobs would change.
 *
 * @throws AgentError when the store cannot be read, or the broker belongs to another store
 */
export async function startDryRun(config: Config, options: DryRunOptions): Promise<DryRun> {
  const { signal, clock = systemClock } = options;
  const outages = createOutageLog(options.log, clock);
  const { log } = outages;
  const lifecycle = createLifecycle({ log, clock });
  lifecycle.use(outages);
  try {
    const management = lifecycle.use(openManagement(config));
    outages.watch('management', () => management.whoAmI({ timeoutMs: PROBE_TIMEOUT_MS }));
    const store = lifecycle.use(await openStoreToRead(config.storeUrl.reveal()));
    outages.watch('store', () => store.namespaces.list({ limit: 1 }));
    const { kind, storeId } = store;
    if (storeId === undefined) {
      throw new AgentError('StoreUnavailable', 'No agent has used this store: check STORE_URL, or start an agent.');
    }
    await assertNotForeign(management, { ...config, storeId }, signal === undefined ? {} : { signal });
    const namespaces = createOverlay({
      config,
      store,
      management,
      clock,
      log,
      events: {
        emit: (type, data) => log.info({ code: 'dry_run_event', type, data }, 'dry run: would publish this event'),
      },
      // Nothing is done, so nothing is audited.
      audit: noAudit,
      onChange: (change) => log.info({ code: 'dry_run_change', ...change }, 'dry run: would make this change'),
    });
    const context = { config, management, clock, log };
    const scheduler = createScheduler({
      // Its jobs are in memory, also where agents share a store.
      store: { kind: 'lmdb' },
      recurring: [...namespaceJobs(context, namespaces), surveyJob(context, store)],
      triggered: [],
      log,
    });
    lifecycle.use(scheduler);
    await scheduler.start();
    log.info({ code: 'dry_run_started', store: kind, storeId }, 'dry run started; nothing is changed');
    return {
      async stop() {
        await lifecycle.close();
        log.info({ code: 'dry_run_stopped' }, 'dry run stopped');
      },
    };
  } catch (error) {
    await lifecycle.close();
    throw error;
  }
}

/** The job that logs what a survey would do about each queue: once, and again when it would do something else. */
function surveyJob(
  { config, management, clock, log }: Pick<AgentContext, 'config' | 'management' | 'clock' | 'log'>,
  store: StoreReader,
): RecurringJob {
  let logged = new Map<string, string>();
  return {
    name: 'survey-queues',
    everyMs: config.surveyIntervalSeconds * 1000,
    async run(signal) {
      const planned = await planSurvey(config, store, management, clock.nowMs(), signal);
      for (const step of planned) {
        if (logged.get(step.queue) === step.action) continue;
        log.info({ code: 'dry_run_queue', ...step }, 'dry run: would act on this queue');
      }
      logged = new Map(planned.map(({ queue, action }) => [queue, action]));
    },
  };
}
