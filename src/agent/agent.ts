import { auditConfiguration } from '../audit/configuration-audit.ts';
import type { ClusterWatch } from '../broker/cluster.ts';
import { createTopologyConnection, type TopologyConnection } from '../broker/amqp/topology-connection.ts';
import type { Config } from '../config/config.ts';
import type { ShownConfiguration } from '../config/shown-settings.ts';
import type { AgentContext } from '../context.ts';
import type { AgentEventBus } from '../events/agent-events.ts';
import { reportMissingSecrets, createJobTable } from '../jobs/job-table.ts';
import { createScheduler } from '../jobs/scheduler.ts';
import { countNeededSecrets } from '../namespaces/accounts/needed-secrets.ts';
import { createNamespaces, type Namespaces } from '../namespaces/namespaces.ts';
import { createNotices } from '../notices/send-notices.ts';
import { checkConnection } from '../observe/health.ts';
import type { Observation } from '../observe/observation.ts';
import type { OutageLog } from '../observe/outage-log.ts';
import { riskyChoices } from '../observe/risky-choices.ts';
import type { StartReport } from '../observe/start-summary.ts';
import { createQueues } from '../queues/queues.ts';
import { createHandlers } from '../requests/methods/handlers.ts';
import { createRequestServer, type RequestServer } from '../requests/server.ts';
import type { TaskclusterAuth } from '../requests/taskcluster-auth.ts';
import { createBatcher } from '../util/batcher.ts';
import { type Clock, momentOf } from '../util/clock.ts';
import { VERSION } from '../version.ts';
import { type BrokerGuard, createBrokerGuard } from './broker-guard.ts';
import { type BrokerWatch, createBrokerWatch } from './broker-watch.ts';
import { createDeletionsWatch } from './deletions-watch.ts';
import { createLimitsWatch } from './limits-watch.ts';
import { type ContextOptions, openContext } from './open-context.ts';
import { openOperatorPage } from './open-operator-page.ts';
import { createPresence } from './presence.ts';
import { createReplicasWatch, type ReplicasWatch } from './replicas-watch.ts';
import { createSecretWatch } from './secret-watch.ts';
import { reportStart } from './start-report.ts';
import { checkCluster, reactToCluster } from './watch-cluster.ts';
import { createAgentStatistics } from './watch-statistics.ts';

/** What a caller may replace in an agent; tests inject faults there. */
export interface AgentOptions extends ContextOptions {
  /** Aborts the start. */
  readonly signal?: AbortSignal;
  readonly authenticator?: TaskclusterAuth;
  /** The settings as they were read, for the page for operators. */
  readonly shown?: ShownConfiguration;
}

/** A running agent. */
export interface Agent {
  /** Which of the agents with this id it is. */
  readonly instance: string;
  /** Requests served so far, by `<method> <outcome>`. */
  readonly requestCounts: ReadonlyMap<string, number>;
  /** The port of health and metrics; undefined: not served. */
  readonly httpPort: number | undefined;
  /** The configuration in short, and what about it is risky. */
  readonly report: StartReport;
  /** Aborts, with an AgentError as its reason, when the caller must stop the agent: the broker belongs to another store. */
  readonly mustStop: AbortSignal;
  /** Takes no more requests, finishes those in hand within the configured deadline, and closes everything. */
  stop(): Promise<void>;
}

/** Releases within this time are deleted together: each alone would list all queues of the broker. In ms. */
const RELEASE_WINDOW_MS = 100;

/** How long a stop waits for its last events once its deadline has passed, in ms. */
const MIN_FLUSH_MS = 250;

/**
 * Starts an agent. What serves requests starts last and stops first.
 *
 * @throws AgentError when it cannot start; the message says what to do
 */
export async function startAgent(config: Config, options: AgentOptions): Promise<Agent> {
  const { signal = new AbortController().signal, authenticator } = options;
  const { context, events, audit, observation, outages, openedStore, cluster } = await openContext(config, options);
  const { clock, log, jobs, lifecycle } = context;
  const startedMs = clock.monotonicMs();
  try {
    const page = await openOperatorPage(context, observation);
    const namespaces = createNamespaces(context);
    const { health, jobRuns } = observation;
    const { secretIds } = namespaces.keyring;
    lifecycle.use(createPresence(context, { health, jobRuns, secretIds })).start();
    const statistics = createAgentStatistics(context);
    const queues = createQueues({ ...context, statistics, exempt: namespaces.exempt, depths: page?.depths });
    const startDeletion = batchDeletions(context, namespaces);
    const handlers = createHandlers(context, { ...namespaces, ...queues, startDeletion });
    const topology = createTopologyConnection({
      ...brokerOf(context),
      methods: Object.keys(handlers),
      maxSkewSeconds: config.maxSkewSeconds,
      management: context.management,
      onError: (error) =>
        log.warn({ code: 'topology_connection_error', err: error }, 'error on the topology connection'),
    });
    const limits = createLimitsWatch(context, observation.observeOverriddenLimits);
    const guard = createBrokerGuard(context, { topology, queues, limits });
    const replicas = createReplicasWatch(context);
    const deletions = createDeletionsWatch({ ...context, backoff: namespaces.backoff });
    const secretWatch = createSecretWatch(context, namespaces);
    const reconcile = guardedReconcile({ guard, namespaces, replicas, observation, cluster, clock });
    const onQueueGone = (): void => guard.redeclareSoon();
    const server = createRequestServer(context, { handlers, authenticator, observer: observation, onQueueGone });
    const setOnSmallerSide = (isIt: boolean): void => server.setOnSmallerSide(isIt);
    reactToCluster(context, { cluster, reconcile, setOnSmallerSide });
    observation.watchCluster(cluster);
    observation.watchPart('cluster', () => checkCluster(cluster));
    cluster.start();
    const onEvent = observation.observeBrokerEvent;
    const brokerWatch = createBrokerWatch(context, { queues, reconcile, onEvent });
    lifecycle.useTogether(queues, topology, server, brokerWatch, statistics, replicas, deletions, secretWatch);
    observation.watchPart('statistics', () => statistics.check());
    observation.watchPart('round-trip', () => server.checkRoundTrip());
    observation.watchReplicas(replicas);
    observation.watchQueueCounts(server);
    observation.watchSecrets({
      count: () => countNeededSecrets(context.store.namespaces),
      has: (secretId) => namespaces.keyring.has(secretId),
    });
    observation.watchPart('deletions', () => deletions.check());
    watchConnections(observation, outages, { topology, server, brokerWatch });

    await guard.ensureOwned(signal);
    auditConfiguration(audit, config);
    await topology.start(signal);
    statistics.start();
    events.attach(page?.showing(topology.publishEvent) ?? topology.publishEvent);
    await guard.assertNamesPass(signal);
    await reconcileFirst(context, reconcile, signal);
    await server.start();
    const { survey, inspect } = queues;
    const table = createJobTable(context, {
      ...namespaces,
      reconcile,
      survey,
      inspect,
      notices: createNotices(context, observation.observeNoticeAttempt),
    });
    const scheduler = createScheduler({
      store: openedStore,
      recurring: observation.measureRecurringJobs(table.recurring),
      triggered: observation.measureTriggeredJobs(table.triggered),
      observer: observation.schedulerObserver,
      log,
    });
    lifecycle.use(scheduler);
    await scheduler.start();
    jobs.attach(scheduler);
    replicas.start();
    deletions.start();
    secretWatch.start();
    await brokerWatch.start();
    observation.watchAlarms(brokerWatch.alarms);
    lifecycle.runInBackground('checking secrets', (until) => reportMissingSecrets(namespaces.rotation, log, until));
    page?.start({
      namespaces,
      health,
      cluster,
      startedMs,
      requestCounts: () => server.queueCounts(),
      risks: () => riskyChoices(config, { nodeEnv: process.env['NODE_ENV'], brokerEvents: brokerWatch.consuming }),
      shown: options.shown,
    });

    events.emit('agent.started', { version: VERSION });
    const httpPort = observation.port;
    const report = await reportStart(context, { brokerEvents: brokerWatch.consuming, httpPort });
    return {
      instance: context.instance,
      requestCounts: server.counts,
      httpPort,
      report,
      mustStop: guard.mustStop,
      stop: () => stopAgent(context, events, startedMs),
    };
  } catch (error) {
    await lifecycle.close();
    throw error;
  }
}

/** Stops in order: no new work, then the last event, then all connections and the store. */
async function stopAgent(context: AgentContext, events: AgentEventBus, startedMs: number): Promise<void> {
  const { config, instance, clock, log, lifecycle } = context;
  const timeoutMs = config.stopDeadlineSeconds * 1000;
  const deadlineMs = clock.monotonicMs() + timeoutMs;
  await lifecycle.drain(timeoutMs);
  const uptimeSeconds = Math.floor((clock.monotonicMs() - startedMs) / 1000);
  events.emit('agent.stopped', { version: VERSION, uptimeSeconds });
  await events.flush(Math.max(MIN_FLUSH_MS, deadlineMs - clock.monotonicMs()));
  await lifecycle.close();
  log.info({ code: 'agent_stopped', instance, uptimeSeconds }, 'the agent has stopped');
}

/** What every connection of the agent to RabbitMQ is opened with. */
function brokerOf({ config, addressChoice }: Pick<AgentContext, 'config' | 'addressChoice'>) {
  const { rabbitmqUrl: amqpUrl, rabbitmqCa: ca, id, vhost, requestVhost } = config;
  return { amqpUrl, addressChoice, ca, id, vhost, requestVhost };
}

function batchDeletions({ lifecycle, sleep }: AgentContext, namespaces: Namespaces): (namespace: string) => void {
  return createBatcher({
    runInBackground: (task) => lifecycle.runInBackground('deletion', task),
    processBatch: namespaces.delete,
    sleep,
    windowMs: RELEASE_WINDOW_MS,
  });
}

interface ReconcileParts {
  readonly guard: BrokerGuard;
  readonly namespaces: Namespaces;
  readonly replicas: ReplicasWatch;
  readonly observation: Observation;
  readonly cluster: ClusterWatch;
  readonly clock: Clock;
}

/** Reconciles on a broker that has what the agent needs there. */
function guardedReconcile(parts: ReconcileParts): Namespaces['reconcile'] {
  const { guard, namespaces, replicas, observation, cluster, clock } = parts;
  return async (signal) => {
    // What one side of a split has is no drift.
    await cluster.permit(signal);
    const beganAt = momentOf(clock);
    await guard.ensure(signal);
    const outcome = await namespaces.reconcile(signal);
    cluster.reconciled(beganAt);
    observation.observeJobSuccess('reconcile-broker');
    await replicas.addMissing(signal);
    return outcome;
  };
}

/** Before anything is claimed, rotated or deleted: records of a restored store advance to what the broker has. */
async function reconcileFirst(
  { log }: Pick<AgentContext, 'log'>,
  reconcile: Namespaces['reconcile'],
  signal: AbortSignal,
): Promise<void> {
  try {
    await reconcile(signal);
  } catch (error) {
    signal.throwIfAborted();
    log.error(
      { code: 'first_reconciliation_failed', err: error },
      'the first reconciliation failed; the next one does its work',
    );
  }
}

interface Connections {
  readonly topology: Pick<TopologyConnection, 'connected'>;
  readonly server: Pick<RequestServer, 'consuming' | 'canReply'>;
  readonly brokerWatch: Pick<BrokerWatch, 'consuming' | 'check'>;
}

/** Readiness and the reports of outages depend on these; each is `starting` until it is there for the first time. */
function watchConnections(
  observation: Observation,
  outages: OutageLog,
  { topology, server, brokerWatch }: Connections,
): void {
  const checks = [
    ['topology', () => topology.connected, 'the connection for topology and events is gone'],
    ['requests', () => server.consuming, 'no requests are taken'],
    ['replies', () => server.canReply, 'the reply connection is gone'],
  ] as const;
  for (const [part, isThere, reason] of checks) {
    observation.watchPart(part, checkConnection(isThere, reason));
    outages.watch(part, isThere);
  }
  observation.watchPart('broker-events', () => brokerWatch.check());
  outages.watch('broker-events', () => brokerWatch.consuming);
}
