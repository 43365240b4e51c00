import { randomBytes } from 'node:crypto';
import type { AuditRecord, AuditStore } from '../../src/store/audit-records.ts';
import type { Notice, NoticeStore } from '../../src/store/notice-records.ts';
import type { QueueAlert, QueueAlertStore } from '../../src/store/queue-alert-records.ts';
import type { NamespaceRecord, NonceEntry } from '../../src/store/namespace-record.ts';
import { countStates } from '../../src/store/state-counts.ts';
import type { DueOptions, NamespaceStore, NonceStore, Store } from '../../src/store/store.ts';

/** A store in memory, with the promises of the real ones: every answer comes later, and nobody shares an object. */
export interface MemoryStore extends Store {
  /** Puts a record as it is, to begin a test with. */
  put(record: NamespaceRecord): void;
  /** What is stored under a name. */
  peek(namespace: string): NamespaceRecord | undefined;
}

/** Makes an empty store. */
export function createMemoryStore(storeId: string = randomBytes(8).toString('hex')): MemoryStore {
  const records = new Map<string, NamespaceRecord>();
  return {
    kind: 'lmdb',
    storeId,
    namespaces: memoryNamespaces(records),
    nonces: memoryNonces(),
    notices: memoryNotices(),
    audit: memoryAudit(),
    queueAlerts: memoryQueueAlerts(),
    async check() {},
    async close() {},
    put: (record) => void records.set(record.namespace, structuredClone(record)),
    peek: (namespace) => structuredClone(records.get(namespace)),
  };
}

function memoryNamespaces(records: Map<string, NamespaceRecord>): NamespaceStore {
  const sorted = (): NamespaceRecord[] =>
    structuredClone([...records.values()]).toSorted((a, b) => (a.namespace < b.namespace ? -1 : 1));
  const due = ({ states, beforeMs, limit }: DueOptions, instant: 'nextRotationMs' | 'expiresMs'): NamespaceRecord[] =>
    sorted()
      .filter((record) => states.includes(record.state) && record[instant] <= beforeMs)
      .toSorted((a, b) => a[instant] - b[instant])
      .slice(0, limit);
  return {
    get: async (namespace) => structuredClone(records.get(namespace)),
    async insert(record) {
      if (record.revision !== 1) throw new RangeError('The first write of a record makes its revision 1.');
      if (records.has(record.namespace)) return false;
      records.set(record.namespace, structuredClone(record));
      return true;
    },
    async replace(record, expectedRevision) {
      if (record.revision !== expectedRevision + 1) throw new RangeError('Every write raises the revision by one.');
      if (records.get(record.namespace)?.revision !== expectedRevision) return false;
      records.set(record.namespace, structuredClone(record));
      return true;
    },
    async remove(namespace, expectedRevision) {
      if (records.get(namespace)?.revision !== expectedRevision) return false;
      return records.delete(namespace);
    },
    list: async ({ after, limit, states }) =>
      sorted()
        .filter((record) => after === undefined || record.namespace > after)
        .filter((record) => states === undefined || states.includes(record.state))
        .slice(0, limit),
    dueForRotation: async (options) => due(options, 'nextRotationMs'),
    dueForExpiry: async (options) => due(options, 'expiresMs'),
    countByState: () => countStates((state) => [...records.values()].filter((record) => record.state === state).length),
  };
}

function memoryNonces(): NonceStore {
  const entries = new Map<string, NonceEntry>();
  return {
    async remember(entry) {
      const known = entries.get(entry.key);
      if (known !== undefined) return structuredClone(known);
      entries.set(entry.key, structuredClone(entry));
      return structuredClone(entry);
    },
    async recordOutcome(key, outcome) {
      const entry = entries.get(key);
      if (entry?.outcome === null) entries.set(key, { ...entry, outcome });
      return entries.get(key)?.outcome ?? undefined;
    },
    async prune(beforeMs) {
      const old = [...entries.values()].filter(({ acceptableUntilMs }) => acceptableUntilMs < beforeMs);
      for (const { key } of old) entries.delete(key);
      return old.length;
    },
  };
}

function memoryNotices(): NoticeStore {
  const notices = new Map<string, Notice>();
  const waiting = (): Notice[] => [...notices.values()].filter(({ state }) => state === 'waiting');
  return {
    async add(notice) {
      if (notice.revision !== 1) throw new RangeError('The first write of a notice makes its revision 1.');
      if (!notices.has(notice.id)) notices.set(notice.id, structuredClone(notice));
      return structuredClone(notices.get(notice.id) ?? notice);
    },
    get: async (id) => structuredClone(notices.get(id)),
    async replace(notice, expectedRevision) {
      if (notice.revision !== expectedRevision + 1) throw new RangeError('Every write raises the revision by one.');
      if (notices.get(notice.id)?.revision !== expectedRevision) return false;
      notices.set(notice.id, structuredClone(notice));
      return true;
    },
    due: async ({ beforeMs, limit }) =>
      structuredClone(waiting())
        .filter(({ nextAttemptMs }) => nextAttemptMs <= beforeMs)
        .toSorted((a, b) => a.nextAttemptMs - b.nextAttemptMs || (a.id < b.id ? -1 : 1))
        .slice(0, Math.max(0, limit)),
    countWaiting: async () => waiting().length,
    async prune(beforeMs) {
      const old = [...notices.values()].filter(({ state, settledMs, seenMs }) =>
        state === 'held' ? seenMs < beforeMs : settledMs !== null && settledMs < beforeMs,
      );
      for (const { id } of old) notices.delete(id);
      return old.length;
    },
  };
}

function memoryQueueAlerts(): QueueAlertStore {
  const alerts = new Map<string, QueueAlert>();
  return {
    get: async (queue) => structuredClone(alerts.get(queue)),
    async insert(alert) {
      if (alert.revision !== 1) throw new RangeError('The first write of an alert makes its revision 1.');
      if (alerts.has(alert.queue)) return false;
      alerts.set(alert.queue, structuredClone(alert));
      return true;
    },
    async replace(alert, expectedRevision) {
      if (alert.revision !== expectedRevision + 1) throw new RangeError('Every write raises the revision by one.');
      if (alerts.get(alert.queue)?.revision !== expectedRevision) return false;
      alerts.set(alert.queue, structuredClone(alert));
      return true;
    },
    async remove(queue, expectedRevision) {
      if (alerts.get(queue)?.revision !== expectedRevision) return false;
      return alerts.delete(queue);
    },
    list: async ({ after, limit }) =>
      structuredClone([...alerts.values()])
        .toSorted((a, b) => (a.queue < b.queue ? -1 : 1))
        .filter(({ queue }) => after === undefined || queue > after)
        .slice(0, limit),
  };
}

function memoryAudit(): AuditStore {
  const records = new Map<string, AuditRecord>();
  const isBefore = (a: Pick<AuditRecord, 'atMs' | 'id'>, b: Pick<AuditRecord, 'atMs' | 'id'>): boolean =>
    a.atMs < b.atMs || (a.atMs === b.atMs && a.id < b.id);
  return {
    async append(added) {
      for (const record of added) if (!records.has(record.id)) records.set(record.id, structuredClone(record));
    },
    list: async ({ namespace, sinceMs, untilMs, before, limit }) =>
      structuredClone([...records.values()])
        .filter((record) => namespace === undefined || record.namespace === namespace)
        .filter(({ atMs }) => atMs >= (sinceMs ?? -Infinity) && atMs < (untilMs ?? Infinity))
        .filter((record) => before === undefined || isBefore(record, before))
        .toSorted((a, b) => (isBefore(a, b) ? -1 : 1))
        .slice(-limit, limit <= 0 ? 0 : undefined),
    async prune(beforeMs) {
      const old = [...records.values()].filter(({ atMs }) => atMs < beforeMs);
      for (const { id } of old) records.delete(id);
      return old.length;
    },
  };
}
