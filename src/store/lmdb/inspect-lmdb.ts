import { resolve } from 'node:path';
import { open, type RootDatabase } from 'lmdb';
import { AgentError } from '../../util/agent-errors.ts';
import { StoreGate } from '../store-gate.ts';
import { LmdbAgents } from './lmdb-agents.ts';
import { LmdbAudit } from './lmdb-audit.ts';
import { hasLmdbStore, lmdbFile, readLmdbIdentity } from './lmdb-database.ts';
import { LmdbNamespaces } from './lmdb-namespaces.ts';
import { LmdbNotices } from './lmdb-notices.ts';
import { LmdbQueueAlerts } from './lmdb-queue-alerts.ts';
import { LmdbQueueExemptions } from './lmdb-queue-exemptions.ts';
import { LmdbSecretSightings } from './lmdb-secret-sightings.ts';
import { assertUsable } from '../store-identity.ts';
import type { ExemptionWriter, StoreReader } from '../store-reader.ts';

/**
 * Opens the embedded store for reading, also beside the agent that holds it: LMDB allows any number of readers.
 *
 * @throws AgentError `StoreUnavailable` when the folder has no store, or it cannot be read; `StoreRefused`
 */
export async function inspectLmdb(path: string): Promise<StoreReader> {
  return await openBeside(path, true);
}

/**
 * Opens the embedded store to exempt queues, also beside the agent that holds it: LMDB lets one process at a time write, and
 * what an agent keeps in memory does not depend on exemptions.
 *
 * @throws AgentError as {@link inspectLmdb}
 */
export async function openLmdbToExempt(path: string): Promise<ExemptionWriter> {
  return await openBeside(path, false);
}

async function openBeside(path: string, readOnly: boolean): Promise<ExemptionWriter> {
  const folder = resolve(path);
  const gate = new StoreGate((error) => unreadable(folder, error));
  return await gate.run(async () => {
    if (!hasLmdbStore(folder)) throw unreadable(folder, new Error('there is no store'));
    const root: RootDatabase = open({ path: lmdbFile(folder), readOnly, maxDbs: 32, overlappingSync: false });
    const identity = readLmdbIdentity(root);
    try {
      if (identity !== undefined) assertUsable(identity);
    } catch (error) {
      await root.close();
      throw error;
    }
    return {
      kind: 'lmdb',
      storeId: identity?.storeId,
      namespaces: new LmdbNamespaces(root, gate, NO_NONCES),
      audit: new LmdbAudit(root, gate),
      queueAlerts: new LmdbQueueAlerts(root, gate),
      notices: new LmdbNotices(root, gate),
      agents: new LmdbAgents(root, gate),
      queueExemptions: new LmdbQueueExemptions(root, gate),
      secretSightings: new LmdbSecretSightings(root, gate),
      async close() {
        if (gate.close()) await root.close();
      },
    };
  });
}

/** Nothing is written here. */
const NO_NONCES = { keepWith: async () => await Promise.resolve(false) };

function unreadable(folder: string, error: unknown): AgentError {
  const reason = error instanceof Error ? error.message : String(error);
  return new AgentError(
    'StoreUnavailable',
    `The store in ${folder} cannot be read (${reason}): check that STORE_URL names the folder of the agent, that an agent has run, and that this user may read it.`,
    { cause: error },
  );
}
