import type { Gauge } from 'prom-client';
import type { Management } from '../broker/management/management.ts';
import { createCounted } from '../observe/cached-counts.ts';
import { createHealth } from '../observe/health.ts';
import { json, serveHttp } from '../observe/http-server.ts';
import { measureRecurring, measureTriggered } from '../observe/measure-jobs.ts';
import { measure, type Measured, OK } from '../observe/measure.ts';
import { type Reachability, watchReachability } from '../observe/reachability.ts';
import { createShared } from '../observe/coalesced.ts';
import { createScheduleWatch } from '../observe/schedule-watch.ts';
import { SIGNED_PORT } from '../contract/signature.ts';
import type { AuthOutcome } from '../requests/taskcluster-auth.ts';
import type { Store } from '../store/store.ts';
import { VERSION } from '../version.ts';
import { countByLevel } from '../observe/queue-alert-levels.ts';
import type { Observation, ObservationSettings, WatchedAlarms } from './observation.ts';

/** The pause between two probes of what the agent depends on, and the shortest one, in ms. */
const PROBE_EVERY_MS = 5_000;
const PROBE_SOON_MS = 1_000;
/** As long as a call of the store or of the management API may take, in ms. */
const PROBE_TIMEOUT_MS = 5_000;
/** How often health is looked at when nobody asks, in ms: "since" is exact to this. */
const LOOK_EVERY_MS = 1_000;
/** The metrics are made at most once in so long, in ms, whoever asks how often. */
const SCRAPE_KEEP_MS = 1_000;
const COUNTS = { keepMs: 15_000, patienceMs: 1_000, limitMs: 10_000 } as const;
/** Taskcluster refuses it without looking anybody up: it needs no credentials, and is an answer. */
const NO_SIGNATURE = 'Hawk';

/** The observation of an agent that has a port for it. */
export async function startObservation(settings: ObservationSettings, port: number): Promise<Observation> {
  const { config, instance, clock, log } = settings;
  const startedMs = clock.monotonicMs();
  // Who has no port for it does not pay for the library of metrics with 13 MB.
  const { createMetrics } = await import('../observe/metrics.ts');
  const metrics = createMetrics();
  const health = createHealth(clock);
  const schedule = createScheduleWatch(clock);
  health.watch('jobs', schedule.look);
  const reachable: Reachability[] = [];
  const beforeScrape: (() => Promise<void>)[] = [];
  let alarms: WatchedAlarms | undefined;

  const reach = (part: 'store' | 'management' | 'auth', probe: (signal: AbortSignal) => Promise<unknown>) => {
    const reachability = watchReachability({
      probe,
      everyMs: PROBE_EVERY_MS,
      soonMs: PROBE_SOON_MS,
      timeoutMs: PROBE_TIMEOUT_MS,
    });
    reachable.push(reachability);
    health.watch(part, reachability.look);
    return reachability;
  };
  const count = <T>(counter: () => Promise<T>, set: (counts: T | undefined) => void): void =>
    void beforeScrape.push(createCounted({ ...COUNTS, count: counter, set, clock }));
  const onJob: Measured = (job, outcome, durationMs) => {
    metrics.jobDuration.observe({ job_name: job, outcome }, durationMs / 1000);
    if (outcome === OK) metrics.jobLastSuccess.set({ job_name: job }, clock.nowMs() / 1000);
  };

  const tellHealth = (): void => {
    const { ready, parts } = health.report();
    metrics.ready.set(ready ? 1 : 0);
    for (const [part, { state }] of Object.entries(parts)) metrics.partUp.set({ part }, state === 'up' ? 1 : 0);
    for (const alarm of ['memory', 'disk']) {
      const set = [...(alarms?.active.values() ?? [])].filter((one) => one.alarm === alarm);
      metrics.brokerAlarms.set({ alarm }, set.length);
    }
  };
  const scrape = createShared(
    async () => {
      await Promise.all(beforeScrape.map((bring) => bring()));
      tellHealth();
      return await metrics.registry.metrics();
    },
    SCRAPE_KEEP_MS,
    clock,
  );
  const server = await serveHttp({
    host: config.httpHost,
    port,
    log,
    routes: {
      '/healthz': () => {
        const uptimeSeconds = Math.floor((clock.monotonicMs() - startedMs) / 1000);
        return json(200, { alive: true, uptimeSeconds, version: VERSION, agent: config.id, instance });
      },
      '/readyz': () => {
        const report = health.report();
        return json(report.ready ? 200 : 503, { ...report, version: VERSION, agent: config.id, instance });
      },
      '/metrics': async () => ({ status: 200, contentType: metrics.registry.contentType, body: await scrape() }),
    },
  });
  const looking = setInterval(() => health.report(), LOOK_EVERY_MS).unref();
  log.info({ code: 'http_server_started', host: config.httpHost, port: server.port }, 'serving health and metrics');

  return {
    port: server.port,
    management(management: Management) {
      const reachability = reach('management', (signal) => alarms?.refresh() ?? management.whoAmI({ signal }));
      return measure(management, {
        clock,
        onCall(operation, outcome, durationMs) {
          metrics.managementDuration.observe({ operation, outcome }, durationMs / 1000);
          if (outcome === 'BrokerUnavailable' || outcome === 'BrokerRefused') reachability.suspect();
        },
      });
    },
    store(store: Store) {
      metrics.info.set({ version: VERSION, store: store.kind }, 1);
      const reachability = reach('store', () => store.check());
      const onCall: Measured = (operation, outcome, durationMs) => {
        metrics.storeDuration.observe({ operation, outcome }, durationMs / 1000);
        if (outcome === 'StoreUnavailable') reachability.suspect();
      };
      const measured = <Part extends object>(prefix: string, part: Part): Part =>
        measure(part, { clock, prefix, onCall });
      const namespaces = measured('namespaces', store.namespaces);
      const notices = measured('notices', store.notices);
      const queueAlerts = measured('queueAlerts', store.queueAlerts);
      count(
        () => namespaces.countByState(),
        (counts) => setEach(metrics.namespaces, 'state', counts),
      );
      count(
        () => countByLevel(queueAlerts),
        (counts) => setEach(metrics.queueAlerts, 'level', counts),
      );
      count(
        () => notices.countWaiting(),
        (waiting) => (waiting === undefined ? metrics.noticesWaiting.remove() : metrics.noticesWaiting.set(waiting)),
      );
      return {
        kind: store.kind,
        storeId: store.storeId,
        namespaces,
        nonces: measured('nonces', store.nonces),
        notices,
        queueAlerts,
        audit: measured('audit', store.audit),
        check: () => store.check(),
        close: () => store.close(),
      };
    },
    authenticator(authenticator) {
      const resource = '/v1/health';
      const request = {
        method: 'post',
        resource,
        host: config.id,
        port: SIGNED_PORT,
        authorization: NO_SIGNATURE,
      } as const;
      const reachability = reach('auth', (signal) => authenticator.authenticate(request, signal));
      return measure(authenticator, {
        clock,
        onCall(_operation, outcome, durationMs) {
          metrics.authDuration.observe({ outcome }, durationMs / 1000);
          if (outcome === 'AuthUnavailable') reachability.suspect();
        },
        outcomeOf: (result) => (result as AuthOutcome).status,
      });
    },
    recurring: (jobs) => jobs.map((job) => measureRecurring(job, clock, onJob)),
    triggered: (jobs) => jobs.map((job) => measureTriggered(job, clock, onJob)),
    schedule: {
      looked: schedule.looked,
      began: (job, lagMs) => metrics.jobLag.observe({ job_name: job }, lagMs / 1000),
    },
    onServed: (method, outcome, durationMs) => metrics.requestDuration.observe({ method, outcome }, durationMs / 1000),
    onBrokerEvent({ type, atMs }) {
      metrics.brokerEvents.inc({ type });
      if (atMs !== undefined) metrics.brokerEventLag.observe(Math.max(0, clock.nowMs() - atMs) / 1000);
    },
    onAgentEvent: (type) => metrics.agentEvents.inc({ type }),
    onSuccess: (job) => metrics.jobLastSuccess.set({ job_name: job }, clock.nowMs() / 1000),
    watch: health.watch,
    watchAlarms(watched) {
      alarms = watched;
      health.watch('alarms', () => {
        const set = [...watched.active.values()].map(({ alarm, node }) => `${alarm} on ${node || 'a node'}`);
        return set.length === 0
          ? { state: 'up' }
          : { state: 'down', reason: `RabbitMQ takes no messages: ${set.join(', ')}` };
      });
    },
    stop: health.stop,
    async close() {
      clearInterval(looking);
      for (const one of reachable) one.close();
      await server.close();
    },
  };
}

/** Sets one value for each label, and takes away those that are no more. */
function setEach<Label extends string>(
  gauge: Gauge<Label>,
  label: Label,
  counts: Readonly<Record<string, number>> | undefined,
): void {
  gauge.reset();
  for (const [value, count] of Object.entries(counts ?? {})) {
    gauge.set({ [label]: value } as Partial<Record<Label, string>>, count);
  }
}
