import type { BrokerEvent } from '../broker/amqp/broker-events.ts';
import type { QueueReplicas } from '../broker/queue-replicas.ts';
import type { ClusterStatus } from '../broker/cluster-state.ts';
import type { Config } from '../config/config.ts';
import type { EventType } from '../contract/event-types.ts';
import type { RecurringJob, TriggeredJob } from '../jobs/jobs.ts';
import type { OnNoticeAttempt } from '../notices/notifier.ts';
import type { SchedulerObserver } from '../jobs/scheduler-observer.ts';
import type { Clock } from '../util/clock.ts';
import type { Log } from '../util/log.ts';
import { VERSION } from '../version.ts';
import { createCoalesced } from '../util/coalesced.ts';
import { type Health, type HealthCheck, PART_NAMES, type PartName } from './health.ts';
import { createHttpServer, type HttpHandler, json } from './http-server.ts';
import type { JobRuns } from './job-runs.ts';
import { measureRecurringJob, measureTriggeredJob, type OnMeasured, OK } from './measure.ts';
import { createMeasuredParts, type MeasuredParts } from './measured-parts.ts';
import type { Metrics } from './metrics.ts';
import type { RefusalReason } from './refusal-reasons.ts';
import { setEach } from './set-each.ts';
import { createVitalSigns, type VitalSigns, type WatchedAlarms } from './vital-signs.ts';

/** What an {@link Observation} is about. */
export interface ObservationOptions {
  readonly config: Pick<Config, 'httpHost' | 'httpPort' | 'id'>;
  readonly instance: string;
  readonly clock: Clock;
  readonly log: Log;
}

/** The replicas of the agent's own queues. */
export interface WatchedReplicas {
  /** Undefined while they are unknown. */
  current(): readonly Pick<QueueReplicas, 'label' | 'members' | 'online'>[] | undefined;
  check(): HealthCheck;
}

/** What waits in the agent's own queues. */
export interface WatchedQueueCounts {
  /** By the label of each queue; undefined while unknown. */
  queueCounts(): ReadonlyMap<string, { readonly messages: number; readonly consumers: number }> | undefined;
}

/** What is known of the cluster. */
export interface WatchedCluster {
  readonly status: { readonly is: ClusterStatus['is'] };
  /** Undefined while unknown. */
  readonly nodes: readonly { readonly running: boolean }[] | undefined;
}

/** Health and metrics of one agent. Each part that can fail passes through here once, to be measured and probed. */
export interface Observation extends Omit<MeasuredParts, 'refreshCounts'> {
  /** The port of the HTTP server, once it listens; undefined without one. */
  readonly port: number | undefined;
  readonly health: Pick<Health, 'report'>;
  readonly jobRuns: Pick<JobRuns, 'byName'>;
  /**
   * Serves health and metrics if a port is configured.
   *
   * @throws AgentError `ConfigurationFault` when the port cannot be listened on.
   */
  readonly start: () => Promise<void>;
  /** From now on this answers all paths but those of health and metrics. */
  readonly serve: (handler: HttpHandler) => void;
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
  /** An attempt to send a notice was made. */
  readonly observeNoticeAttempt: OnNoticeAttempt;
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
  readonly watchQueueCounts: (watched: WatchedQueueCounts) => void;
  readonly watchCluster: (cluster: WatchedCluster) => void;
  /** The agent begins to stop: it is not ready from now on. */
  readonly drain: () => void;
  readonly close: () => Promise<void>;
}

/** The states of RabbitMQ's cluster, as the metric has them. */
export const CLUSTER_STATES = [
  'whole',
  'incomplete',
  'split',
  'restoring',
  'unknown',
] as const satisfies readonly ClusterStatus['is'][];

/** Whose queues another policy may take limits from. */
export const LIMITS_OWNERS = ['agent', 'namespaces'] as const;
type LimitsOwner = (typeof LIMITS_OWNERS)[number];

/** How long the text of the metrics is reused, in ms, however often it is requested. */
const SCRAPE_KEEP_MS = 1_000;

/** The observation of one agent. Start it before every other part, so that a start that hangs shows what it waits for. */
export async function createObservation(options: ObservationOptions): Promise<Observation> {
  const { config, clock } = options;
  const { id, httpPort } = config;
  if (httpPort === null) {
    const parts = PART_NAMES.filter((part) => part !== 'round-trip');
    return observeWithoutMetrics(createVitalSigns({ id, clock, parts }), clock);
  }
  // The metrics library takes 13 MB: an agent without a port does not load it.
  const { createMetrics } = await import('./metrics.ts');
  const vitalSigns = createVitalSigns({ id, clock, parts: PART_NAMES });
  return createHttpObservation(options, httpPort, createMetrics(), vitalSigns);
}

function createHttpObservation(
  options: ObservationOptions,
  httpPort: number,
  metrics: Metrics,
  vitalSigns: VitalSigns,
): Observation {
  const { config, instance, clock, log } = options;
  const createdMs = clock.monotonicMs();
  const { health, jobRuns } = vitalSigns;
  let replicas: WatchedReplicas | undefined;
  let queueCounts: WatchedQueueCounts | undefined;
  let cluster: WatchedCluster | undefined;
  const parts = createMeasuredParts({ clock, metrics, vitalSigns });

  const onJob: OnMeasured = (job, outcome, durationMs) => {
    metrics.jobDuration.observe({ job_name: job, outcome }, durationMs / 1000);
    observeJob(job, outcome, durationMs);
  };
  const observeJob = (job: string, outcome: string, durationMs?: number): void => {
    jobRuns.observe(job, outcome, durationMs);
    if (outcome === OK) metrics.jobLastSuccess.set({ job_name: job }, clock.nowMs() / 1000);
  };

  const setHealthMetrics = (): void => {
    const { ready, parts: reports } = health.report();
    metrics.ready.set(ready ? 1 : 0);
    for (const [part, { state }] of Object.entries(reports)) metrics.partUp.set({ part }, state === 'up' ? 1 : 0);
    setEach(metrics.brokerAlarms, 'alarm', countAlarms(vitalSigns.currentAlarms()));
    const queues = replicas?.current() ?? [];
    const members = queues.map((queue) => [queue.label, queue.members.length]);
    const online = queues.map((queue) => [queue.label, queue.online.length]);
    setEach(metrics.queueReplicas, 'queue', Object.fromEntries(members));
    setEach(metrics.queueReplicasOnline, 'queue', Object.fromEntries(online));
    const counts = [...(queueCounts?.queueCounts() ?? [])];
    setEach(
      metrics.queueMessages,
      'queue',
      Object.fromEntries(counts.map(([label, { messages }]) => [label, messages])),
    );
    setEach(
      metrics.queueConsumers,
      'queue',
      Object.fromEntries(counts.map(([label, { consumers }]) => [label, consumers])),
    );
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

  return {
    get port() {
      return server.port;
    },
    health,
    jobRuns,
    async start() {
      await server.start();
      vitalSigns.start();
      log.info({ code: 'http_server_started', host: config.httpHost, port: server.port }, 'serving health and metrics');
    },
    serve: (handler) => server.mount(handler),
    measureManagement: parts.measureManagement,
    measureStore: parts.measureStore,
    measureAuthenticator: parts.measureAuthenticator,
    watchSecrets: parts.watchSecrets,
    measureRecurringJobs(jobs) {
      jobRuns.define(jobs);
      return jobs.map((job) => measureRecurringJob(job, clock, onJob));
    },
    measureTriggeredJobs: (jobs) => jobs.map((job) => measureTriggeredJob(job, clock, onJob)),
    schedulerObserver: {
      recordPoll: vitalSigns.scheduler.recordPoll,
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
    observeNoticeAttempt: (medium, outcome) => metrics.noticeAttempts.inc({ medium: medium ?? 'unknown', outcome }),
    observeAgentEvent: (type) => metrics.agentEvents.inc({ type }),
    observeOverriddenLimits(overridden) {
      for (const owner of LIMITS_OWNERS) {
        metrics.overriddenLimits.set({ of: owner }, overridden.filter((one) => one.of === owner).length);
      }
    },
    observeJobSuccess: (job) => observeJob(job, OK),
    watchPart: health.watch,
    watchAlarms: vitalSigns.watchAlarms,
    watchReplicas(watched) {
      replicas = watched;
      health.watch('replicas', () => watched.check());
    },
    watchQueueCounts: (watched) => void (queueCounts = watched),
    watchCluster: (watched) => void (cluster = watched),
    drain: health.drain,
    async close() {
      vitalSigns.close();
      await server.close();
    },
  };
}

/** Undefined while they are unknown. */
function countAlarms(alarms: WatchedAlarms | undefined): Record<'memory' | 'disk', number> | undefined {
  if (alarms === undefined) return undefined;
  const set = [...alarms.active.values()];
  const count = (alarm: string): number => set.filter((one) => one.alarm === alarm).length;
  return { memory: count('memory'), disk: count('disk') };
}

function countNodes(nodes: NonNullable<WatchedCluster['nodes']>): Record<'running' | 'missing', number> {
  const running = nodes.filter((node) => node.running).length;
  return { running, missing: nodes.length - running };
}

const nothing = (): void => undefined;

/** Health and the runs of jobs alone, for the record of the agent. */
function observeWithoutMetrics(vitalSigns: VitalSigns, clock: Clock): Observation {
  const { health, jobRuns } = vitalSigns;
  return {
    port: undefined,
    health,
    jobRuns,
    async start() {
      vitalSigns.start();
    },
    serve: nothing,
    measureManagement(management) {
      vitalSigns.probeManagement(management);
      return management;
    },
    measureStore(store) {
      vitalSigns.probeStore(store);
      return store;
    },
    measureAuthenticator(authenticator) {
      vitalSigns.probeAuthenticator(authenticator);
      return authenticator;
    },
    measureRecurringJobs(jobs) {
      jobRuns.define(jobs);
      return jobs.map((job) => measureRecurringJob(job, clock, jobRuns.observe));
    },
    measureTriggeredJobs: (jobs) => jobs,
    schedulerObserver: { recordPoll: vitalSigns.scheduler.recordPoll, recordStart: nothing },
    observeRequest: nothing,
    observeRefusal: nothing,
    observeProbe: nothing,
    observeSuppressedAudit: nothing,
    observeNoticeAttempt: nothing,
    observeBrokerEvent: nothing,
    observeAgentEvent: nothing,
    observeOverriddenLimits: nothing,
    observeJobSuccess: (job) => jobRuns.observe(job, OK),
    watchPart: health.watch,
    watchAlarms: vitalSigns.watchAlarms,
    watchReplicas: (replicas) => health.watch('replicas', () => replicas.check()),
    watchQueueCounts: nothing,
    watchSecrets: nothing,
    watchCluster: nothing,
    drain: health.drain,
    async close() {
      vitalSigns.close();
    },
  };
}
