import { resolve } from 'node:path';
import type { Key, RootDatabase } from 'lmdb';
import { AgentError } from '../../util/agent-errors.ts';
import type { RandomBytes } from '../../util/clock.ts';
import type { AuditRecord } from '../audit-records.ts';
import type { NamespaceRecord } from '../namespace-record.ts';
import type { NonceEntry } from '../nonce-records.ts';
import type { Notice } from '../notice-records.ts';
import type { QueueAlert } from '../queue-alert-records.ts';
import type { QueueExemption } from '../queue-exemption-records.ts';
import type { StoreGate } from '../store-gate.ts';
import type { StoreIdentity } from '../store-identity.ts';
import { STORE_COLLECTIONS, type StoreCollection, type StoreTransfer } from '../store-transfer.ts';
import { LmdbAudit } from './lmdb-audit.ts';
import {
  createLmdbGate,
  hasLmdbStore,
  type LmdbDatabase,
  openLmdbDatabase,
  readLmdbIdentity,
  writeLmdbIdentity,
} from './lmdb-database.ts';
import { LmdbNamespaces } from './lmdb-namespaces.ts';
import { LmdbNonces } from './lmdb-nonces.ts';
import { LmdbNotices } from './lmdb-notices.ts';
import { LmdbQueueAlerts } from './lmdb-queue-alerts.ts';
import { LmdbQueueExemptions } from './lmdb-queue-exemptions.ts';

/** How many records are read in one step. */
const PAGE_SIZE = 1000;

/** The databases of the collections, and whether their entries have versions. */
const DATABASES: Readonly<Record<StoreCollection, { readonly name: string; readonly useVersions: boolean }>> = {
  namespaces: { name: 'namespaces', useVersions: true },
  queueAlerts: { name: 'queue-alerts', useVersions: true },
  queueExemptions: { name: 'queue-exemptions', useVersions: true },
  notices: { name: 'notices', useVersions: true },
  nonces: { name: 'nonces', useVersions: true },
  audit: { name: 'audit', useVersions: false },
};

/** The databases that hold no records: those of the owner of the folder and of the identity. */
const KEPT = new Set(['owner', 'store']);

/**
 * Opens the embedded store to be copied. This process holds it meanwhile, as an agent does.
 *
 * @param mayCreate whether the store is created if there is none
 * @throws AgentError `StoreInUse` when an agent holds the folder; `StoreUnavailable`, also when there is no store
 */
export async function openLmdbTransfer(
  path: string,
  { mayCreate, randomBytes }: { readonly mayCreate: boolean; readonly randomBytes: RandomBytes },
): Promise<StoreTransfer> {
  const folder = resolve(path);
  const gate = createLmdbGate(folder);
  if (!mayCreate && !hasLmdbStore(folder)) {
    throw new AgentError('StoreUnavailable', `There is no store in ${folder}: check that STORE_URL names its folder.`);
  }
  return await gate.run(async () => new LmdbTransfer(await openLmdbDatabase(folder, randomBytes), gate));
}

class LmdbTransfer implements StoreTransfer {
  readonly kind = 'lmdb';
  readonly #database: LmdbDatabase;
  readonly #root: RootDatabase;
  readonly #gate: StoreGate;
  readonly #add: Readonly<Record<StoreCollection, (records: readonly object[]) => Promise<void>>>;

  constructor(database: LmdbDatabase, gate: StoreGate) {
    const { root } = database;
    this.#database = database;
    this.#root = root;
    this.#gate = gate;
    const nonces = new LmdbNonces(root, gate);
    const namespaces = new LmdbNamespaces(root, gate, nonces);
    const queueAlerts = new LmdbQueueAlerts(root, gate);
    const queueExemptions = new LmdbQueueExemptions(root, gate);
    const notices = new LmdbNotices(root, gate);
    const audit = new LmdbAudit(root, gate);
    this.#add = {
      namespaces: (records) => namespaces.restore(records as readonly NamespaceRecord[]),
      queueAlerts: (records) => queueAlerts.restore(records as readonly QueueAlert[]),
      queueExemptions: (records) => queueExemptions.restore(records as readonly QueueExemption[]),
      notices: (records) => notices.restore(records as readonly Notice[]),
      nonces: (records) => nonces.restore(records as readonly NonceEntry[]),
      audit: (records) => audit.append(records as readonly AuditRecord[]),
    };
  }

  get identity(): StoreIdentity | undefined {
    return readLmdbIdentity(this.#root);
  }

  async isEmpty(): Promise<boolean> {
    return await this.#gate.run(() =>
      STORE_COLLECTIONS.every((collection) => this.#records(collection).getKeysCount({ limit: 1 }) === 0),
    );
  }

  async *pages(collection: StoreCollection, signal: AbortSignal): AsyncGenerator<readonly object[]> {
    const records = this.#records(collection);
    for (let last: Key | undefined; ; ) {
      signal.throwIfAborted();
      const page = await this.#gate.run(() => [
        ...records.getRange({ ...(last === undefined ? {} : { start: last, exclusiveStart: true }), limit: PAGE_SIZE }),
      ]);
      if (page.length > 0) yield page.map(({ value }) => value);
      if (page.length < PAGE_SIZE) return;
      last = page.at(-1)?.key;
    }
  }

  async beginImport(identity: StoreIdentity): Promise<void> {
    await this.#gate.run(async () => {
      await writeLmdbIdentity(this.#root, identity);
      const names = [...this.#root.getKeys()];
      for (const name of names) {
        // The databases of indexes need not be known here.
        if (typeof name !== 'string' || KEPT.has(name)) continue;
        await this.#root.openDB({ name, encoding: 'json' }).clearAsync();
      }
    });
  }

  async add(collection: StoreCollection, records: readonly object[]): Promise<void> {
    if (records.length > 0) await this.#add[collection](records);
  }

  async finishImport(identity: StoreIdentity): Promise<boolean> {
    await this.#gate.run(() => writeLmdbIdentity(this.#root, identity));
    return true;
  }

  async retire(nowMs: number): Promise<void> {
    const { identity } = this;
    if (identity === undefined) return;
    await this.#gate.run(() => writeLmdbIdentity(this.#root, { ...identity, retiredMs: nowMs }));
  }

  async audit(record: AuditRecord): Promise<void> {
    await this.add('audit', [record]);
  }

  async activity(): Promise<undefined> {
    return await Promise.resolve(undefined);
  }

  async close(): Promise<void> {
    if (this.#gate.close()) await this.#database.close();
  }

  #records(collection: StoreCollection) {
    return this.#root.openDB<object, Key>({ ...DATABASES[collection], encoding: 'json' });
  }
}
