import { mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { type Database, open, type RootDatabase } from 'lmdb';
import type { Clock, RandomBytes } from '../../util/clock.ts';
import { AgentError } from '../../util/agent-errors.ts';
import { StoreGate } from '../store-gate.ts';
import { LmdbNamespaces } from './lmdb-namespaces.ts';
import { LmdbNonces } from './lmdb-nonces.ts';
import { LmdbAgents } from './lmdb-agents.ts';
import { LmdbAudit } from './lmdb-audit.ts';
import { LmdbNotices } from './lmdb-notices.ts';
import { LmdbOwner } from './lmdb-owner.ts';
import { LmdbQueueAlerts } from './lmdb-queue-alerts.ts';
import type { Store } from '../store.ts';

/** How to open the embedded store. */
export interface LmdbOptions {
  /** Everything the store writes is in it; created if missing. */
  readonly folder: string;
  readonly clock: Clock;
  readonly randomBytes: RandomBytes;
}

/** The identity of the store. */
interface StoreIdentity {
  readonly storeId: string;
  readonly createdMs: number;
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
  const gate = new StoreGate((error) => unavailable(folder, error));
  return await gate.run(async () => {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const owner = await LmdbOwner.announce(folder, options.randomBytes);
    let root: RootDatabase | undefined;
    try {
      root = openDatabase(folder);
      const owners = root.openDB<string, string>({ name: 'owner', encoding: 'string' });
      await settle(owner, owners);
      return new LmdbStore(root, owners, owner, await identity(root, options), gate);
    } catch (error) {
      await root?.close();
      await owner.leave();
      throw error;
    }
  });
}

function openDatabase(folder: string): RootDatabase {
  return open({
    path: join(folder, 'store.mdb'),
    maxDbs: 32,
    // With overlapping sync, the default, a write is answered before it is on disk, and `flushed` may resolve before
    // fdatasync was called.
    overlappingSync: false,
  });
}

async function settle(owner: LmdbOwner, owners: Database<string, string>): Promise<void> {
  await owner.settle(
    () => owners.get('socket'),
    (seen) =>
      owners.transactionSync(() => {
        if (owners.get('socket') !== seen) return false;
        owners.putSync('socket', owner.socketName);
        return true;
      }),
  );
}

async function identity(root: RootDatabase, { clock, randomBytes }: LmdbOptions): Promise<StoreIdentity> {
  const identities = root.openDB<StoreIdentity, string>({ name: 'store', encoding: 'json', useVersions: true });
  const known = identities.get('identity');
  if (known !== undefined) return known;
  const made = { storeId: randomBytes(16).toString('base64url'), createdMs: clock.nowMs() };
  await identities.put('identity', made, 1);
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
  readonly #root: RootDatabase;
  readonly #owners: Database<string, string>;
  readonly #owner: LmdbOwner;
  readonly #gate: StoreGate;

  constructor(
    root: RootDatabase,
    owners: Database<string, string>,
    owner: LmdbOwner,
    { storeId }: StoreIdentity,
    gate: StoreGate,
  ) {
    this.storeId = storeId;
    this.nonces = new LmdbNonces(root, gate);
    this.namespaces = new LmdbNamespaces(root, gate, this.nonces);
    this.notices = new LmdbNotices(root, gate);
    this.audit = new LmdbAudit(root, gate);
    this.queueAlerts = new LmdbQueueAlerts(root, gate);
    this.agents = new LmdbAgents(root, gate);
    this.#root = root;
    this.#owners = owners;
    this.#owner = owner;
    this.#gate = gate;
  }

  async check(): Promise<void> {
    await this.#gate.run(() => void this.#owners.get('socket'));
  }

  async close(): Promise<void> {
    if (!this.#gate.close()) return;
    try {
      // Waits for the writes in progress; the folder is free only after them.
      await this.#root.close();
    } finally {
      await this.#owner.leave();
    }
  }
}

function unavailable(folder: string, error: unknown): AgentError {
  const reason = error instanceof Error ? error.message : String(error);
  return new AgentError(
    'StoreUnavailable',
    `The store in ${folder} cannot be used (${reason}): check that the folder is writable and the disk has room.`,
    { cause: error },
  );
}
