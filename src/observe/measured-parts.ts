import type { Management } from '../broker/management/management.ts';
import type { AuthOutcome, TaskclusterAuth } from '../requests/taskcluster-auth.ts';
import { type AgentRecord, isCurrent, lostAgents } from '../store/agent-records.ts';
import { queueAlertPages } from '../store/paged-listing.ts';
import { QUEUE_ALERT_LEVELS, type QueueAlertLevel, type QueueAlertStore } from '../store/queue-alert-records.ts';
import type { Store } from '../store/store.ts';
import type { Clock } from '../util/clock.ts';
import { VERSION } from '../version.ts';
import { createCachedCounts } from './cached-counts.ts';
import { measure, type OnMeasured } from './measure.ts';
import type { Metrics } from './metrics.ts';
import { setEach } from './set-each.ts';
import type { VitalSigns } from './vital-signs.ts';

const COUNTS = { keepMs: 15_000, patienceMs: 1_000, limitMs: 10_000 } as const;
/** Every namespace is read for them: 10,000 of LMDB in 60 ms of CPU. */
const SECRET_COUNTS = { keepMs: 300_000, patienceMs: 1_000, limitMs: 60_000 } as const;

interface MeasuredPartsOptions {
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly vitalSigns: Pick<VitalSigns, 'probeManagement' | 'probeStore' | 'probeAuthenticator'>;
}

/** The agent secrets that namespaces need. */
export interface WatchedSecrets {
  /** How many namespaces need each secret, by secretId. */
  count(): Promise<ReadonlyMap<string, number>>;
  /** Whether this agent has it. */
  has(secretId: string): boolean;
}

/** Each function that measures returns the same part with its calls measured, and probes it from then on. */
export interface MeasuredParts {
  readonly measureManagement: (management: Management) => Management;
  readonly measureStore: (store: Store) => Store;
  readonly measureAuthenticator: (authenticator: TaskclusterAuth) => TaskclusterAuth;
  /** Counts the namespaces that need each agent secret, every five minutes. */
  readonly watchSecrets: (secrets: WatchedSecrets) => void;
  /** Counts what the store holds, as far as the latest counts are too old. */
  readonly refreshCounts: () => Promise<void>;
}

/** Measures and probes what the agent depends on: the management API, the store and Taskcluster's auth service. */
export function createMeasuredParts({ clock, metrics, vitalSigns }: MeasuredPartsOptions): MeasuredParts {
  const counters: (() => Promise<void>)[] = [];

  const addCounts = <T>(count: () => Promise<T>, set: (counts: T | undefined) => void): void =>
    void counters.push(createCachedCounts({ ...COUNTS, count, set, clock }));

  const measureManagement = (management: Management): Management => {
    const reachability = vitalSigns.probeManagement(management);
    return measure(management, {
      clock,
      onCall(operation, outcome, durationMs) {
        metrics.managementDuration.observe({ operation, outcome }, durationMs / 1000);
        if (outcome === 'BrokerUnavailable' || outcome === 'BrokerRefused') reachability.suspect();
      },
    });
  };

  const measureStore = (store: Store): Store => {
    metrics.info.set({ version: VERSION, store: store.kind }, 1);
    const reachability = vitalSigns.probeStore(store);
    const onCall: OnMeasured = (operation, outcome, durationMs) => {
      metrics.storeDuration.observe({ operation, outcome }, durationMs / 1000);
      if (outcome === 'StoreUnavailable') reachability.suspect();
    };
    const measured = <Part extends object>(prefix: string, part: Part): Part =>
      measure(part, { clock, prefix, onCall });
    const namespaces = measured('namespaces', store.namespaces);
    const notices = measured('notices', store.notices);
    const queueAlerts = measured('queueAlerts', store.queueAlerts);
    addCounts(
      () => namespaces.countByState(),
      (counts) => setEach(metrics.namespaces, 'state', counts),
    );
    addCounts(
      () => countByLevel(queueAlerts),
      (counts) => setEach(metrics.queueAlerts, 'level', counts),
    );
    addCounts(
      () => notices.countWaiting(),
      (waiting) => (waiting === undefined ? metrics.noticesWaiting.remove() : metrics.noticesWaiting.set(waiting)),
    );
    addCounts(
      async () => countAgents(await store.agents.list(), clock.nowMs()),
      (counts) => setEach(metrics.agents, 'state', counts),
    );
    return {
      kind: store.kind,
      storeId: store.storeId,
      namespaces,
      nonces: measured('nonces', store.nonces),
      notices,
      queueAlerts,
      agents: measured('agents', store.agents),
      queueExemptions: measured('queueExemptions', store.queueExemptions),
      secretSightings: measured('secretSightings', store.secretSightings),
      audit: measured('audit', store.audit),
      check: () => store.check(),
      close: () => store.close(),
    };
  };

  const measureAuthenticator = (authenticator: TaskclusterAuth): TaskclusterAuth => {
    const reachability = vitalSigns.probeAuthenticator(authenticator);
    const measured = measure(authenticator, {
      clock,
      onCall(_operation, outcome, durationMs) {
        metrics.authDuration.observe({ outcome }, durationMs / 1000);
        if (outcome === 'AuthUnavailable') reachability.suspect();
      },
      outcomeOf: (result) => (result as AuthOutcome).status,
    });
    return {
      authenticate: (asked, signal) => measured.authenticate(asked, signal),
      probe: (asked, signal) => authenticator.probe(asked, signal),
      close: () => authenticator.close(),
    };
  };

  const setSecrets = (secrets: WatchedSecrets, counts: ReadonlyMap<string, number> | undefined): void => {
    metrics.secretNamespaces.reset();
    for (const [secretId, namespaces] of counts ?? []) {
      metrics.secretNamespaces.set({ secret_id: secretId, held: String(secrets.has(secretId)) }, namespaces);
    }
  };
  const watchSecrets = (secrets: WatchedSecrets): void => {
    const set = (counts: ReadonlyMap<string, number> | undefined): void => setSecrets(secrets, counts);
    counters.push(createCachedCounts({ ...SECRET_COUNTS, count: () => secrets.count(), set, clock }));
  };

  return {
    measureManagement,
    measureStore,
    measureAuthenticator,
    watchSecrets,
    refreshCounts: async () => void (await Promise.all(counters.map((refresh) => refresh()))),
  };
}

function countAgents(records: readonly AgentRecord[], nowMs: number): Record<'running' | 'lost', number> {
  const running = records.filter((record) => isCurrent(record, nowMs)).length;
  return { running, lost: lostAgents(records, nowMs).length };
}

/** Beyond this, the exact number of alerts does not matter. */
const MAX_COUNTED_ALERTS = 10_000;

/** How many queues are at each level, of the first ten thousand. */
async function countByLevel(alerts: Pick<QueueAlertStore, 'list'>): Promise<Record<QueueAlertLevel, number>> {
  const counts = Object.fromEntries(QUEUE_ALERT_LEVELS.map((level) => [level, 0])) as Record<QueueAlertLevel, number>;
  let counted = 0;
  for await (const page of queueAlertPages(alerts)) {
    for (const { level } of page) counts[level] += 1;
    counted += page.length;
    if (counted >= MAX_COUNTED_ALERTS) break;
  }
  return counts;
}
