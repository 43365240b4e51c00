import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { type Database, open, type RootDatabase } from 'lmdb';
import { AgentError } from '../../util/agent-errors.ts';
import type { RandomBytes } from '../../util/clock.ts';
import { StoreGate } from '../store-gate.ts';
import type { StoreIdentity } from '../store-identity.ts';
import { LmdbOwner } from './lmdb-owner.ts';

/** The database in a folder that this process holds. */
export interface LmdbDatabase {
  readonly root: RootDatabase;
  /** Throws when the database cannot be read. */
  check(): void;
  /** Waits for the writes in progress; the folder is free only after them. */
  close(): Promise<void>;
}

/**
 * Makes this process the owner of the folder, which is created if it is missing, and opens its database.
 *
 * @throws AgentError `StoreInUse` when an agent holds the folder; errors of LMDB and of the file system
 */
export async function openLmdbDatabase(folder: string, randomBytes: RandomBytes): Promise<LmdbDatabase> {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const owner = await LmdbOwner.announce(folder, randomBytes);
  let root: RootDatabase | undefined;
  try {
    const opened = (root = openDatabase(folder));
    const owners = opened.openDB<string, string>({ name: 'owner', encoding: 'string' });
    await settle(owner, owners);
    return {
      root: opened,
      check: () => void owners.get('socket'),
      async close() {
        try {
          await opened.close();
        } finally {
          await owner.leave();
        }
      },
    };
  } catch (error) {
    await root?.close();
    await owner.leave();
    throw error;
  }
}

/** Whether the folder has a store. */
export function hasLmdbStore(folder: string): boolean {
  return existsSync(lmdbFile(folder));
}

/** The file of the database in a folder. */
export function lmdbFile(folder: string): string {
  return join(folder, 'store.mdb');
}

function openDatabase(folder: string): RootDatabase {
  return open({
    path: lmdbFile(folder),
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

/** The identity of the store; undefined when it has none yet. */
export function readLmdbIdentity(root: RootDatabase): StoreIdentity | undefined {
  return identitiesIn(root).get('identity');
}

export async function writeLmdbIdentity(root: RootDatabase, identity: StoreIdentity): Promise<void> {
  await identitiesIn(root).put('identity', identity, 1);
}

function identitiesIn(root: RootDatabase): Database<StoreIdentity, string> {
  return root.openDB({ name: 'store', encoding: 'json', useVersions: true });
}

/** The gate of the store in this folder. */
export function createLmdbGate(folder: string): StoreGate {
  return new StoreGate((error) => {
    const reason = error instanceof Error ? error.message : String(error);
    return new AgentError(
      'StoreUnavailable',
      `The store in ${folder} cannot be used (${reason}): check that the folder is writable and the disk has room.`,
      { cause: error },
    );
  });
}
