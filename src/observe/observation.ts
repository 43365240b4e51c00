import type { BrokerEvent } from '../broker/amqp/broker-events.ts';
import type { QueueReplicas } from '../broker/queue-replicas.ts';
import type { ClusterStatus } from '../broker/cluster-state.ts';
import type { Config } from '../config/config.ts';
import type { EventType } from '../contract/event-types.ts';
import type { RecurringJob, TriggeredJob } from '../jobs/jobs.ts';
import type { SchedulerObserver } from '../jobs/scheduler-observer.ts';
import type { Clock } from '../util/clock.ts';
import type { Log } from '../util/log.ts';
import { VERSION } from '../version.ts';
import { createCoalesced } from '../util/coalesced.ts';
import { createHealth, createSchedulerHealth, type HealthCheck, type PartName } from './health.ts';
import { createHttpServer, json } from './http-server.ts';
import { measureRecurringJob, measureTriggeredJob, type OnMeasured, OK } from './measure.ts';
import { createMeasuredParts, type MeasuredParts } from './measured-parts.ts';
import type { Metrics } from './metrics.ts';
import type { RefusalReason } from './refusal-reasons.ts';
import { setEach } from './set-each.ts';

/** What an {@link Observation} is about. */
export interface ObservationOptions {
  readonly config: Pick<Config, 'httpHost' | 'httpPort' | 'id'>;
  readonly instance: string;
  readonly clock: Clock;
  readonly log: Log;
}

/** The alarms of the broker that this agent knows of. */
export interface WatchedAlarms {
  readonly active: ReadonlyMap<string, { readonly alarm: string; readonly node: string }>;
  /** How long ago they were listed, in ms; infinite before the first listing. */
  ageMs(): number;
  /** Lists them again. */
  refresh(): Promise<void>;
}

/** The replicas of the agent's own queues. */
export interface WatchedReplicas {
  /** Undefined while they are unknown. */
  current(): readonly Pick<QueueReplicas, 'label' | 'members' | 'online'>[] | undefined;
  check(): HealthCheck;
}

/** What is known of the cluster. */
export interface WatchedCluster {
  readonly status: { readonly is: ClusterStatus['is'] };
  /** Undefined while unknown. */
  readonly nodes: readonly { readonly running: boolean }[] | undefined;
}

/** Health and metrics of one agent. Each part that can fail passes through here once, to be measured and probed. */
export interface Observation extends Omit<MeasuredParts, 'refreshCounts' | 'close'> {
  /** The port of the HTTP server, once it listens; undefined without one. */
  readonly port: number | undefined;
  /**
   * Serves health and metrics if a port is configured.
   *
   * @throws AgentError `ConfigurationFault` when the port cannot be listened on.
   */
  readonly start: () => Promise<void>;
  readonly measureRecurringJobs: (jobs: readonly RecurringJob[]) => readonly RecurringJob[];
  readonly measureTriggeredJobs: (jobs: readonly TriggeredJob[]) => readonly TriggeredJob[];
  readonly schedulerObserver: SchedulerObserver;
  /** A request was answered or dead-lettered. */
  readonly observeRequest: (method: string, outcome: string, durationMs: number) => void;
  /** A request in order was refused. */
  readonly observeRefusal: (reason: RefusalReason) => void;
  /** A request of the agent to itself was answered. */
  readonly observeProbe: (durationMs: number) => void;
  /** An audit record was left out of the store, because one namespace caused too many. */
  readonly observeSuppressedAudit: () => void;
  /** A broker event was consumed. */
  readonly observeBrokerEvent: (event: BrokerEvent) => void;
  /** An agent event is published. */
  readonly observeAgentEvent: (type: EventType) => void;
  /** Limits of queues and exchanges that another policy overrides were found, or none. */
  readonly observeOverriddenLimits: (overridden: readonly { readonly of: LimitsOwner }[]) => void;
  /** The work of a recurring job succeeded outside of its schedule. */
  readonly observeJobSuccess: (job: string) => void;
  /** Replaces the check of a part. */
  readonly watchPart: (part: PartName, check: () => HealthCheck) => void;
  readonly watchAlarms: (alarms: WatchedAlarms) => void;
  readonly watchReplicas: (replicas: WatchedReplicas) => void;
  readonly watchCluster: (cluster: WatchedCluster) => void;
  /** The agent begins to stop: it is not ready from now on. */
  readonly drain: () => void;
  readonly close: () => Promise<void>;
}

const CLUSTER_STATES = [
  'whole',
  'incomplete',
  'split',
  'restoring',
  'unknown',
] as const satisfies readonly ClusterStatus['is'][];

const LIMITS_OWNERS = ['agent', 'namespaces'] as const;
type LimitsOwner = (typeof LIMITS_OWNERS)[number];

/** How often health is checked without a request, in ms: `since` is exact to this. */
const CHECK_EVERY_MS = 1_000;
/** Alarms that were listed longer ago, in ms, are unknown: they are listed every 5 s. */
const ALARMS_KEPT_MS = 30_000;
/** How long the text of the metrics is reused, in ms, however often it is requested. */
const SCRAPE_KEEP_MS = 1_000;

/** The observation of one agent. Start it before every other part, so that a start that hangs shows what it waits for. */
export async function createObservation(options: ObservationOptions): Promise<Observation> {
  const { httpPort } = options.config;
  if (httpPort === null) return UNOBSERVED;
  // The metrics library takes 13 MB: an agent without a port does not load it.
  const { createMetrics } = await import('./metrics.ts');
  return createHttpObservation(options, httpPort, createMetrics());
}

function createHttpObservation(options: ObservationOptions, httpPort: number, metrics: Metrics): Observation {
  const { config, instance, clock, log } = options;
  const createdMs = clock.monotonicMs();
  const health = createHealth(clock);
  const scheduler = createSchedulerHealth(clock);
  health.watch('jobs', scheduler.check);
  let alarms: WatchedAlarms | undefined;
  let replicas: WatchedReplicas | undefined;
  let cluster: WatchedCluster | undefined;
  const parts = createMeasuredParts({ id: config.id, clock, metrics, health, alarms: () => alarms });

  const onJob: OnMeasured = (job, outcome, durationMs) => {
    metrics.jobDuration.observe({ job_name: job, outcome }, durationMs / 1000);
    if (outcome === OK) observeJobSuccess(job);
  };
  const observeJobSuccess = (job: string): void => metrics.jobLastSuccess.set({ job_name: job }, clock.nowMs() / 1000);

  const setHealthMetrics = (): void => {
    const { ready, parts: reports } = health.report();
    metrics.ready.set(ready ? 1 : 0);
    for (const [part, { state }] of Object.entries(reports)) metrics.partUp.set({ part }, state === 'up' ? 1 : 0);
    setEach(metrics.brokerAlarms, 'alarm', countAlarms(alarms));
    const queues = replicas?.current() ?? [];
    const members = queues.map((queue) => [queue.label, queue.members.length]);
    const online = queues.map((queue) => [queue.label, queue.online.length]);
    setEach(metrics.queueReplicas, 'queue', Object.fromEntries(members));
    setEach(metrics.queueReplicasOnline, 'queue', Object.fromEntries(online));
  };
  const setClusterMetrics = (): void => {
    const now = cluster?.status.is ?? 'unknown';
    for (const state of CLUSTER_STATES) metrics.cluster.set({ state }, state === now ? 1 : 0);
    setEach(metrics.brokerNodes, 'state', cluster?.nodes && countNodes(cluster.nodes));
  };
  const scrape = async (): Promise<string> => {
    await parts.refreshCounts();
    setHealthMetrics();
    setClusterMetrics();
    return await metrics.registry.metrics();
  };
  const cachedScrape = createCoalesced(scrape, SCRAPE_KEEP_MS, clock);

  const about = { version: VERSION, agent: config.id, instance };
  const server = createHttpServer({
    host: config.httpHost,
    port: httpPort,
    log,
    routes: {
      '/healthz': () => {
        const uptimeSeconds = Math.floor((clock.monotonicMs() - createdMs) / 1000);
        return json(200, { alive: true, uptimeSeconds, ...about });
      },
      '/readyz': () => {
        const report = health.report();
        return json(report.ready ? 200 : 503, { ...report, ...about });
      },
      '/metrics': async () => ({
        status: 200,
        contentType: metrics.registry.contentType,
        body: await cachedScrape(),
      }),
    },
  });
  let checking: NodeJS.Timeout | undefined;

  return {
    get port() {
      return server.port;
    },
    async start() {
      await server.start();
      checking = setInterval(() => health.report(), CHECK_EVERY_MS).unref();
      log.info({ code: 'http_server_started', host: config.httpHost, port: server.port }, 'serving health and metrics');
    },
    measureManagement: parts.measureManagement,
    measureStore: parts.measureStore,
    measureAuthenticator: parts.measureAuthenticator,
    measureRecurringJobs: (jobs) => jobs.map((job) => measureRecurringJob(job, clock, onJob)),
    measureTriggeredJobs: (jobs) => jobs.map((job) => measureTriggeredJob(job, clock, onJob)),
    schedulerObserver: {
      recordPoll: scheduler.recordPoll,
      recordStart: (job, lagMs) => metrics.jobLag.observe({ job_name: job }, lagMs / 1000),
    },
    observeRequest: (method, outcome, durationMs) =>
      metrics.requestDuration.observe({ method, outcome }, durationMs / 1000),
    observeRefusal: (reason) => metrics.refusals.inc({ reason }),
    observeProbe: (durationMs) => metrics.probeDuration.observe(durationMs / 1000),
    observeSuppressedAudit: () => metrics.suppressedAudit.inc(),
    observeBrokerEvent({ type, atMs }) {
      metrics.brokerEvents.inc({ type });
      if (atMs !== undefined) metrics.brokerEventLag.observe(Math.max(0, clock.nowMs() - atMs) / 1000);
    },
    observeAgentEvent: (type) => metrics.agentEvents.inc({ type }),
    observeOverriddenLimits(overridden) {
      for (const owner of LIMITS_OWNERS) {
        metrics.overriddenLimits.set({ of: owner }, overridden.filter((one) => one.of === owner).length);
      }
    },
    observeJobSuccess,
    watchPart: health.watch,
    watchAlarms(watched) {
      alarms = watched;
      health.watch('alarms', () => checkAlarms(watched));
    },
    watchReplicas(watched) {
      replicas = watched;
      health.watch('replicas', () => watched.check());
    },
    watchCluster: (watched) => void (cluster = watched),
    drain: health.drain,
    async close() {
      clearInterval(checking);
      parts.close();
      await server.close();
    },
  };
}

/** Undefined while they are unknown. */
function countAlarms(alarms: WatchedAlarms | undefined): Record<'memory' | 'disk', number> | undefined {
  if (alarms === undefined || alarms.ageMs() > ALARMS_KEPT_MS) return undefined;
  const set = [...alarms.active.values()];
  const count = (alarm: string): number => set.filter((one) => one.alarm === alarm).length;
  return { memory: count('memory'), disk: count('disk') };
}

function countNodes(nodes: NonNullable<WatchedCluster['nodes']>): Record<'running' | 'missing', number> {
  const running = nodes.filter((node) => node.running).length;
  return { running, missing: nodes.length - running };
}

function checkAlarms(alarms: WatchedAlarms): HealthCheck {
  const { active } = alarms;
  if (active.size === 0) {
    const ageMs = alarms.ageMs();
    if (ageMs <= ALARMS_KEPT_MS) return { state: 'up' };
    if (ageMs === Infinity) return { state: 'starting', reason: 'the alarms of RabbitMQ are not listed yet' };
    return { state: 'down', reason: `unknown: RabbitMQ has listed no alarms for ${Math.round(ageMs / 1000)} s` };
  }
  const set = [...active.values()].map(({ alarm, node }) => `${alarm} on ${node || 'a node'}`);
  return { state: 'down', reason: `RabbitMQ takes no messages: ${set.join(', ')}` };
}

const nothing = (): void => undefined;
const nothingAsync = async (): Promise<void> => undefined;

const UNOBSERVED: Observation = {
  port: undefined,
  start: nothingAsync,
  measureManagement: (management) => management,
  measureStore: (store) => store,
  measureAuthenticator: (authenticator) => authenticator,
  measureRecurringJobs: (jobs) => jobs,
  measureTriggeredJobs: (jobs) => jobs,
  schedulerObserver: { recordPoll: nothing, recordStart: nothing },
  observeRequest: nothing,
  observeRefusal: nothing,
  observeProbe: nothing,
  observeSuppressedAudit: nothing,
  observeBrokerEvent: nothing,
  observeAgentEvent: nothing,
  observeOverriddenLimits: nothing,
  observeJobSuccess: nothing,
  watchPart: nothing,
  watchAlarms: nothing,
  watchReplicas: nothing,
  watchCluster: nothing,
  drain: nothing,
  close: nothingAsync,
};
