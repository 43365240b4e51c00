import { randomBytes as systemRandomBytes, randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { type Audit, createAudit } from '../audit/audit.ts';
import type { ClusterWatch } from '../broker/cluster.ts';
import { guardByCluster } from '../broker/management/guarded-changes.ts';
import type { Management } from '../broker/management/management.ts';
import { createManagementReach } from '../broker/management/management-reach.ts';
import { openManagement } from '../broker/management/open-management.ts';
import { withoutStaleConnections } from '../broker/management/stale-connections.ts';
import type { Config } from '../config/config.ts';
import type { AgentContext } from '../context.ts';
import { createAddressChoice } from '../contract/address-choice.ts';
import { contractNames } from '../contract/names.ts';
import { parseAmqpUrls } from '../contract/url.ts';
import { type AgentEventBus, createAgentEvents } from '../events/agent-events.ts';
import { createJobQueue, type JobQueue } from '../jobs/job-queue.ts';
import { createObservation, type Observation } from '../observe/observation.ts';
import { createOutageLog, type OutageLog } from '../observe/outage-log.ts';
import { openStore } from '../store/open-store.ts';
import type { Store } from '../store/store.ts';
import { type Clock, type RandomBytes, systemClock, systemSleep } from '../util/clock.ts';
import type { Log } from '../util/log.ts';
import { createLifecycle } from './lifecycle.ts';
import { createReporters } from '../reporters.ts';

/** What a caller may replace in an agent's context; tests inject faults there. */
export interface ContextOptions {
  readonly log: Log;
  readonly clock?: Clock;
  readonly randomBytes?: RandomBytes;
  /** At least 0, less than 1. */
  readonly random?: () => number;
  readonly wrapStore?: (store: Store) => Store;
  readonly wrapManagement?: (management: Management) => Management;
}

/** The context of an agent, with what only its start needs of it. */
export interface OpenedContext {
  readonly context: AgentContext & { readonly jobs: JobQueue };
  readonly events: AgentEventBus;
  readonly audit: Audit;
  readonly observation: Observation;
  readonly outages: OutageLog;
  readonly cluster: ClusterWatch;
  /** The store as it was opened, for the jobs: calls to it are not measured. */
  readonly openedStore: Awaited<ReturnType<typeof openStore>>;
}

/** How long the management API may take to show that it is back, in ms. */
export const PROBE_TIMEOUT_MS = 2_000;

/**
 * Opens what all parts share. The observation is first, so that a start that hangs shows what it waits for; the event bus
 * and the job queue exist before the connections behind them.
 *
 * @throws AgentError when the store cannot be opened, or nothing can listen on the HTTP port
 */
export async function openContext(config: Config, options: ContextOptions): Promise<OpenedContext> {
  const { clock = systemClock, randomBytes = systemRandomBytes, random = Math.random } = options;
  const outages = createOutageLog(options.log, clock);
  const { log } = outages;
  const lifecycle = createLifecycle({ log, clock });
  lifecycle.use(outages);
  try {
    const instance = `${hostname()}-${randomUUID().slice(0, 8)}`;
    const observation = lifecycle.use(await createObservation({ config, instance, clock, log }));
    await observation.start();
    // One order for AMQP and HTTP: where both lists have the same nodes, an agent uses one of them.
    const spread = random();
    const managementReach = createManagementReach();
    const onReachable = (isReachable: boolean): void => managementReach.set(isReachable);
    const opened = lifecycle.use(openManagement(config, { ...options, spread, onReachable }));
    const measured = observation.measureManagement(withoutStaleConnections(opened, { clock, log }));
    const { management, cluster } = guardByCluster(measured, { clock, sleep: systemSleep });
    outages.watch('management', () => management.whoAmI({ timeoutMs: PROBE_TIMEOUT_MS }));
    lifecycle.use(cluster);
    const openedStore = lifecycle.use(await openStore(config.storeUrl.reveal(), { clock, randomBytes }));
    outages.watch('store', () => openedStore.check());
    const store = observation.measureStore(options.wrapStore?.(openedStore) ?? openedStore);
    const audit = lifecycle.use(
      createAudit({ store: store.audit, log, clock, instance, onSuppressed: observation.observeSuppressedAudit }),
    );
    const onEmit = observation.observeAgentEvent;
    const events = createAgentEvents({ agent: config.id, instance, clock, log, onEmit });
    const context = {
      config,
      names: contractNames(config.id),
      instance,
      clock,
      sleep: systemSleep,
      randomBytes,
      random,
      log,
      addressChoice: createAddressChoice(parseAmqpUrls(config.rabbitmqUrl.reveal()).length, {
        nowMs: () => clock.monotonicMs(),
        spread,
      }),
      store,
      management,
      managementReach,
      cluster,
      jobs: createJobQueue(),
      reporters: createReporters({ events, audit, log, clock, onRefused: observation.observeRefusal }),
      lifecycle,
    };
    return { context, events, audit, observation, outages, openedStore, cluster };
  } catch (error) {
    await lifecycle.close();
    throw error;
  }
}
