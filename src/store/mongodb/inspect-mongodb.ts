import type { Db } from 'mongodb';
import { StoreGate } from '../store-gate.ts';
import { MongoAgents } from './mongodb-agents.ts';
import { MongoAudit } from './mongodb-audit.ts';
import { createMongoClient } from './mongodb-client.ts';
import { type IndexFault, findIndexFaults } from './mongodb-indexes.ts';
import { mongoUnavailable } from './mongodb-errors.ts';
import { readMongoIdentity } from './mongodb-identity.ts';
import { MongoNamespaces } from './mongodb-namespaces.ts';
import { MongoNotices } from './mongodb-notices.ts';
import { MongoQueueAlerts } from './mongodb-queue-alerts.ts';
import { MongoQueueExemptions } from './mongodb-queue-exemptions.ts';
import { MongoSecretSightings } from './mongodb-secret-sightings.ts';
import type { MongoSetup } from './mongodb-setup.ts';
import { parseMongoUrl } from '../../config/mongodb-url.ts';
import { assertUsable } from '../store-identity.ts';
import type { ExemptionWriter } from '../store-reader.ts';

/** A MongoDB that is opened for reading; only {@link MongoInspection.tryMajorityWrite} and an exemption write. */
export interface MongoInspection extends ExemptionWriter {
  readonly kind: 'mongodb';
  setup(): Promise<MongoSetup>;
  indexFaults(): Promise<IndexFault[]>;
  /** Writes a document as durably as the store does, and removes it. Returns how long the write took, in ms. */
  tryMajorityWrite(id: string, monotonicMs: () => number): Promise<number>;
}

/**
 * Connects to the MongoDB of a store as an agent does, but creates nothing.
 *
 * @throws AgentError `ConfigurationFault`, `StoreRefused`, `StoreUnavailable`; its methods throw the last as well
 */
export async function inspectMongoDB(url: string, timeoutMs: number): Promise<MongoInspection> {
  const target = parseMongoUrl(url);
  const gate = new StoreGate((error) => mongoUnavailable(error, target), timeoutMs);
  const client = createMongoClient(target.url, timeoutMs);
  const db = client.db(target.database);
  try {
    const identity = await gate.run(() => readMongoIdentity(db));
    if (identity !== undefined) assertUsable(identity);
    return {
      kind: 'mongodb',
      storeId: identity?.storeId,
      namespaces: new MongoNamespaces(db, gate, NO_NONCES),
      audit: new MongoAudit(db, gate),
      queueAlerts: new MongoQueueAlerts(db, gate),
      notices: new MongoNotices(db, gate),
      agents: new MongoAgents(db, gate),
      queueExemptions: new MongoQueueExemptions(db, gate),
      secretSightings: new MongoSecretSightings(db, gate),
      setup: () => gate.run(() => readSetup(db)),
      indexFaults: () => gate.run(() => findIndexFaults(db)),
      tryMajorityWrite: (id, monotonicMs) => gate.run(() => tryWrite(db, id, monotonicMs)),
      async close() {
        if (gate.close()) await client.close();
      },
    };
  } catch (error) {
    await client.close();
    throw error;
  }
}

async function readSetup(db: Db): Promise<MongoSetup> {
  const hello = await db.command({ hello: 1 });
  const { setName, msg, localTime } = hello;
  return {
    replicaSet: typeof setName === 'string' ? setName : undefined,
    isSharded: msg === 'isdbgrid',
    timeMs: localTime instanceof Date ? localTime.getTime() : undefined,
  };
}

async function tryWrite(db: Db, id: string, monotonicMs: () => number): Promise<number> {
  const tries = db.collection<{ _id: string }>('verify');
  const startedMs = monotonicMs();
  await tries.insertOne({ _id: id });
  const tookMs = monotonicMs() - startedMs;
  await tries.deleteOne({ _id: id });
  // Agents do not use the collection; another verification may.
  if ((await tries.countDocuments({}, { limit: 1 })) === 0) await tries.drop().catch(() => undefined);
  return tookMs;
}

/** Nothing is written here. */
const NO_NONCES = { keep: async () => await Promise.resolve(false) };
