import { openManagement } from './composition/open-management.ts';
import { assertNotForeign } from './broker/marker.ts';
import { type Clock, systemClock } from './clock.ts';
import { createRehearsal } from './composition/rehearsal.ts';
import { rehearseSurveysJob } from './composition/rehearse-surveys.ts';
import type { Config } from './config.ts';
import { AgentError } from './errors.ts';
import { expireNamespacesJob, tellExpiringJob } from './jobs/expire-namespaces.ts';
import { reconcileBrokerJob } from './jobs/reconcile-broker.ts';
import { rotateNamespacesJob } from './jobs/rotate-namespaces.ts';
import { startSchedule } from './jobs/schedule.ts';
import type { Log } from './log.ts';
import { openStoreToRead } from './store/read-only.ts';

/** An agent that only looks. */
export interface DryRun {
  stop(): Promise<void>;
}

/** How long a stopping one waits for its jobs, in ms. */
const JOBS_STOP_MS = 5_000;

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
    const { parts, reconcile } = createRehearsal({
      config,
      store,
      management,
      clock,
      log,
      events: { emit: (type, data) => log.info({ type, data }, 'dry run: this event would be published') },
      onEffect: (effect) => log.info(effect, 'dry run: this would be changed'),
    });
    const schedule = await startSchedule({
      // Its jobs are its own, whatever store the others share.
      store: { kind: 'lmdb' },
      recurring: [
        rotateNamespacesJob(parts.rotation),
        expireNamespacesJob(parts.expiry),
        tellExpiringJob(parts.expiry, config.expiryNoticeSeconds * 1000),
        reconcileBrokerJob({ reconcile, everyMs: config.reconcileIntervalSeconds * 1000, log }),
        rehearseSurveysJob({ config, store, management, clock, log }),
      ],
      triggered: [],
      log,
    });
    log.info({ store: store.kind, storeId: store.storeId }, 'the dry run has begun: nothing is changed');
    return {
      async stop() {
        await schedule.stop(JOBS_STOP_MS);
        await close();
        log.info('the dry run has stopped');
      },
    };
  } catch (error) {
    await close();
    throw error;
  }
}
