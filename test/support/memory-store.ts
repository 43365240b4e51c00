import { randomBytes } from 'node:crypto';
import type { AgentRecord, AgentRecordStore } from '../../src/store/agent-records.ts';
import type { AuditRecord, AuditStore } from '../../src/store/audit-records.ts';
import { type Notice, type NoticeStore, UNSENT_STATES } from '../../src/store/notice-records.ts';
import type { QueueAlert, QueueAlertStore } from '../../src/store/queue-alert-records.ts';
import type { QueueExemption, QueueExemptionStore } from '../../src/store/queue-exemption-records.ts';
import type { SecretSighting } from '../../src/store/secret-records.ts';
import { countByState, HELD_STATES, type NamespaceRecord } from '../../src/store/namespace-record.ts';
import type { DueOptions, NamespaceStore, Store } from '../../src/store/store.ts';
import { insertOrGet, requireRevision, type VersionedCollection } from '../../src/store/versioned-collection.ts';
import type { NonceEntry, NonceStore, NonceWrite } from '../../src/store/nonce-records.ts';

/** A store in memory that keeps the contract of the real ones: it answers asynchronously and shares no object. */
export interface MemoryStore extends Store {
  /** Writes a record as it is, to set up a test. */
  put(record: NamespaceRecord): void;
  /** What is stored under a name. */
  peek(namespace: string): NamespaceRecord | undefined;
}

/** Makes an empty store. */
export function createMemoryStore(storeId: string = randomBytes(8).toString('hex')): MemoryStore {
  const records = new Map<string, NamespaceRecord>();
  const nonces = new Map<string, NonceEntry>();
  return {
    kind: 'lmdb',
    storeId,
    namespaces: memoryNamespaces(records, nonces),
    nonces: memoryNonces(nonces),
    notices: memoryNotices(),
    audit: memoryAudit(),
    queueAlerts: memoryQueueAlerts(),
    agents: memoryAgents(),
    queueExemptions: memoryQueueExemptions(),
    secretSightings: versionedCollection(new Map<string, SecretSighting>(), ({ secretId }) => secretId),
    async check() {},
    async close() {},
    put: (record) => void records.set(record.namespace, structuredClone(record)),
    peek: (namespace) => structuredClone(records.get(namespace)),
  };
}

function versionedCollection<Item extends { readonly revision: number }>(
  items: Map<string, Item>,
  idOf: (item: Item) => string,
): VersionedCollection<Item> {
  return {
    get: async (id) => structuredClone(items.get(id)),
    async insert(item) {
      requireRevision(item, 1, idOf(item));
      if (items.has(idOf(item))) return false;
      items.set(idOf(item), structuredClone(item));
      return true;
    },
    async replace(item, expectedRevision) {
      requireRevision(item, expectedRevision + 1, idOf(item));
      if (items.get(idOf(item))?.revision !== expectedRevision) return false;
      items.set(idOf(item), structuredClone(item));
      return true;
    },
    async remove(id, expectedRevision) {
      if (items.get(id)?.revision !== expectedRevision) return false;
      return items.delete(id);
    },
  };
}

function memoryNamespaces(records: Map<string, NamespaceRecord>, nonces: Map<string, NonceEntry>): NamespaceStore {
  const collection = versionedCollection(records, ({ namespace }) => namespace);
  const writeWith = async (nonce: NonceWrite | undefined, write: () => Promise<boolean>): Promise<boolean> => {
    if (nonce === undefined) return await write();
    if (nonces.has(nonce.entry.key) || !(await write())) return false;
    nonces.set(nonce.entry.key, structuredClone(nonce.entry));
    return true;
  };
  const sorted = (): NamespaceRecord[] =>
    structuredClone([...records.values()]).toSorted((a, b) => (a.namespace < b.namespace ? -1 : 1));
  const due = ({ states, beforeMs, limit }: DueOptions, instant: 'nextRotationMs' | 'expiresMs'): NamespaceRecord[] =>
    sorted()
      .filter((record) => states.includes(record.state) && record[instant] <= beforeMs)
      .toSorted((a, b) => a[instant] - b[instant])
      .slice(0, limit);
  return {
    ...collection,
    insert: (record, nonce) => writeWith(nonce, () => collection.insert(record)),
    replace: (record, revision, nonce) => writeWith(nonce, () => collection.replace(record, revision)),
    list: async ({ after, limit, states }) =>
      sorted()
        .filter((record) => after === undefined || record.namespace > after)
        .filter((record) => states === undefined || states.includes(record.state))
        .slice(0, limit),
    dueForRotation: async (options) => due(options, 'nextRotationMs'),
    dueForExpiry: async (options) => due(options, 'expiresMs'),
    countHeldBy: async (clientId) =>
      [...records.values()].filter(({ claimedBy, state }) => claimedBy === clientId && HELD_STATES.includes(state))
        .length,
    countByState: () =>
      countByState((state) => [...records.values()].filter((record) => record.state === state).length),
  };
}

function memoryNonces(entries: Map<string, NonceEntry>): NonceStore {
  return {
    areWrittenWithRecord: true,
    get: async (key) => structuredClone(entries.get(key)),
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
  const waiting = (): Notice[] => [...notices.values()].filter(({ state }) => UNSENT_STATES.includes(state));
  const collection = versionedCollection(notices, ({ id }) => id);
  return {
    ...collection,
    add: async (notice) => structuredClone(await insertOrGet(collection, notice.id, notice)),
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

function memoryQueueExemptions(): QueueExemptionStore {
  const exemptions = new Map<string, QueueExemption>();
  return {
    ...versionedCollection(exemptions, ({ queue }) => queue),
    list: async ({ after, limit }) =>
      structuredClone([...exemptions.values()])
        .toSorted((a, b) => (a.queue < b.queue ? -1 : 1))
        .filter(({ queue }) => after === undefined || queue > after)
        .slice(0, limit),
  };
}

function memoryQueueAlerts(): QueueAlertStore {
  const alerts = new Map<string, QueueAlert>();
  return {
    ...versionedCollection(alerts, ({ queue }) => queue),
    list: async ({ after, limit }) =>
      structuredClone([...alerts.values()])
        .toSorted((a, b) => (a.queue < b.queue ? -1 : 1))
        .filter(({ queue }) => after === undefined || queue > after)
        .slice(0, limit),
  };
}

function memoryAgents(): AgentRecordStore {
  const agents = new Map<string, AgentRecord>();
  return {
    ...versionedCollection(agents, ({ instance }) => instance),
    list: async () => structuredClone([...agents.values()]),
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
