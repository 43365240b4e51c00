import { resolve } from 'node:path';
import type { RootDatabase } from 'lmdb';
import type { Clock, RandomBytes } from '../../util/clock.ts';
import type { StoreGate } from '../store-gate.ts';
import { assertUsable, type StoreIdentity } from '../store-identity.ts';
import { LmdbNamespaces } from './lmdb-namespaces.ts';
import { LmdbNonces } from './lmdb-nonces.ts';
import { LmdbAgents } from './lmdb-agents.ts';
import { LmdbAudit } from './lmdb-audit.ts';
import {
  createLmdbGate,
  type LmdbDatabase,
  openLmdbDatabase,
  readLmdbIdentity,
  writeLmdbIdentity,
} from './lmdb-database.ts';
import { LmdbNotices } from './lmdb-notices.ts';
import { LmdbQueueAlerts } from './lmdb-queue-alerts.ts';
import { LmdbQueueExemptions } from './lmdb-queue-exemptions.ts';
import { LmdbSecretSightings } from './lmdb-secret-sightings.ts';
import type { Store } from '../store.ts';

/** How to open the embedded store. */
export interface LmdbOptions {
  /** Everything the store writes is in it; created if missing. */
  readonly folder: string;
  readonly clock: Clock;
  readonly randomBytes: RandomBytes;
}

/**
 * Opens the embedded store, for one agent at a time. A write is answered once it is on disk; concurrent writes go into one
 * transaction.
 *
 * @throws AgentError `StoreInUse` when another agent holds the folder, `StoreUnavailable` when the folder cannot be
 * used
 * @example
 * const store = await openLmdbStore({ folder: '/var/lib/pulse-agent', clock: systemClock, randomBytes });
 */
export async function openLmdbStore(options: LmdbOptions): Promise<Store> {
  const folder = resolve(options.folder);
  const gate = createLmdbGate(folder);
  return await gate.run(async () => {
    const database = await openLmdbDatabase(folder, options.randomBytes);
    try {
      return new LmdbStore(database, await identity(database.root, options), gate);
    } catch (error) {
      await database.close();
      throw error;
    }
  });
}

async function identity(root: RootDatabase, { clock, randomBytes }: LmdbOptions): Promise<StoreIdentity> {
  const known = readLmdbIdentity(root);
  if (known !== undefined) {
    assertUsable(known);
    return known;
  }
  const made = { storeId: randomBytes(16).toString('base64url'), createdMs: clock.nowMs() };
  await writeLmdbIdentity(root, made);
  return made;
}

class LmdbStore implements Store {
  readonly kind = 'lmdb';
  readonly storeId: string;
  readonly namespaces: LmdbNamespaces;
  readonly nonces: LmdbNonces;
  readonly notices: LmdbNotices;
  readonly audit: LmdbAudit;
  readonly queueAlerts: LmdbQueueAlerts;
  readonly agents: LmdbAgents;
  readonly queueExemptions: LmdbQueueExemptions;
  readonly secretSightings: LmdbSecretSightings;
  readonly #database: LmdbDatabase;
  readonly #gate: StoreGate;

  constructor(database: LmdbDatabase, { storeId }: StoreIdentity, gate: StoreGate) {
    const { root } = database;
    this.storeId = storeId;
    this.nonces = new LmdbNonces(root, gate);
    this.namespaces = new LmdbNamespaces(root, gate, this.nonces);
    this.notices = new LmdbNotices(root, gate);
    this.audit = new LmdbAudit(root, gate);
    this.queueAlerts = new LmdbQueueAlerts(root, gate);
    this.agents = new LmdbAgents(root, gate);
    this.queueExemptions = new LmdbQueueExemptions(root, gate);
    this.secretSightings = new LmdbSecretSightings(root, gate);
    this.#database = database;
    this.#gate = gate;
  }

  async check(): Promise<void> {
    await this.#gate.run(() => this.#database.check());
  }

  async close(): Promise<void> {
    if (this.#gate.close()) await this.#database.close();
  }
}
