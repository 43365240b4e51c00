import { openManagement } from '../broker/management/open-management.ts';
import { assertNotForeign } from '../broker/marker.ts';
import { type Clock, systemClock } from '../util/clock.ts';
import { createOverlay } from '../plan/overlay.ts';
import { dryRunSurveysJob } from './dry-run-surveys.ts';
import type { Config } from '../config/config.ts';
import { AgentError } from '../util/agent-errors.ts';
import { namespaceJobs } from '../jobs/job-table.ts';
import { createScheduler } from '../jobs/scheduler.ts';
import type { Log } from '../util/log.ts';
import { openStoreToRead } from '../store/open-store-to-read.ts';

/** An agent that only looks. */
export interface DryRun {
  stop(): Promise<void>;
}

/**
 * Starts an agent that changes nothing, beside those that do: it serves no requests, declares nothing, publishes nothing,
 * and reads the store. What its jobs would change goes to the log.
 *
 * @throws AgentError when the store cannot be read, or the broker belongs to another one
 */
export async function startDryRun(
  config: Config,
  { log, signal, clock = systemClock }: { readonly log: Log; readonly signal?: AbortSignal; readonly clock?: Clock },
): Promise<DryRun> {
  const management = openManagement(config);
  const store = await openStoreToRead(config.storeUrl.reveal());
  const close = async (): Promise<void> => {
    management.close();
    await store.close();
  };
  try {
    if (store.storeId === undefined) {
      throw new AgentError('StoreUnavailable', 'No agent has used this store: there is nothing to rehearse with.');
    }
    const call = signal === undefined ? {} : { signal };
    await assertNotForeign(management, { ...config, storeId: store.storeId }, call);
    const namespaces = createOverlay({
      config,
      store,
      management,
      clock,
      log,
      events: {
        emit: (type, data) => log.info({ code: 'dry_run_event', type, data }, 'dry run: would publish this event'),
      },
      onEffect: (effect) => log.info({ code: 'dry_run_change', ...effect }, 'dry run: would make this change'),
    });
    const scheduler = createScheduler({
      // Its jobs are its own, whatever store the others share.
      store: { kind: 'lmdb' },
      recurring: [
        ...namespaceJobs({ config, log }, namespaces),
        dryRunSurveysJob({ config, store, management, clock, log }),
      ],
      triggered: [],
      log,
    });
    await scheduler.start();
    log.info(
      { code: 'dry_run_started', store: store.kind, storeId: store.storeId },
      'dry run started; nothing is changed',
    );
    return {
      async stop() {
        await scheduler.close();
        await close();
        log.info({ code: 'dry_run_stopped' }, 'dry run stopped');
      },
    };
  } catch (error) {
    await close();
    throw error;
  }
}
