import type { Db } from 'mongodb';
import type { Clock, RandomBytes } from '../../util/clock.ts';
import { StoreGate } from '../store-gate.ts';
import { assertUsable, type StoreIdentity } from '../store-identity.ts';
import { isDuplicateKey, mongoUnavailable } from './mongodb-errors.ts';
import { identitiesIn, identityDocument, readMongoIdentity } from './mongodb-identity.ts';
import { MongoNamespaces } from './mongodb-namespaces.ts';
import { MongoNonces } from './mongodb-nonces.ts';
import { MongoAgents } from './mongodb-agents.ts';
import { MongoAudit } from './mongodb-audit.ts';
import { MongoNotices } from './mongodb-notices.ts';
import { createMongoClient } from './mongodb-client.ts';
import { MongoQueueAlerts } from './mongodb-queue-alerts.ts';
import { MongoQueueExemptions } from './mongodb-queue-exemptions.ts';
import { MongoSecretSightings } from './mongodb-secret-sightings.ts';
import { parseMongoUrl } from '../../config/mongodb-url.ts';
import { reconnectWhenMonitorHangs } from './mongodb-heartbeat-workaround.ts';
import type { Store } from '../store.ts';

const DEFAULT_TIMEOUT_MS = 5000;

/** How to open the store in MongoDB. */
export interface MongoOptions {
  /** `mongodb://…` or `mongodb+srv://…`; the database `pulse-agent` when it names none. */
  readonly url: string;
  readonly clock: Clock;
  readonly randomBytes: RandomBytes;
  /** How long one operation may take, finding the server included, in ms; default 5000. */
  readonly timeoutMs?: number;
}

/**
 * Opens the store in MongoDB, which any number of agents share. Whatever the URL says, reads go to the primary and see what a
 * majority has, and writes are answered once a majority has them. An operation that takes longer than `timeoutMs` is
 * abandoned: it may have happened.
 *
 * @throws AgentError `ConfigurationFault` when the URL cannot be read, `StoreUnavailable` when MongoDB does not answer
 * within `timeoutMs`
 * @example
 * const store = await openMongoStore({ url: 'mongodb://localhost/', clock: systemClock, randomBytes });
 */
export async function openMongoStore(options: MongoOptions): Promise<MongoStore> {
  const timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
  const target = parseMongoUrl(options.url);
  const gate = new StoreGate((error) => mongoUnavailable(error, target), timeoutMs);
  const client = createMongoClient(target.url, timeoutMs);
  const stopReconnecting = reconnectWhenMonitorHangs(client, timeoutMs);
  const close = async (): Promise<void> => {
    stopReconnecting();
    await client.close();
  };
  try {
    const db = client.db(target.database);
    const { storeId } = await gate.run(() => identity(db, options));
    const store = new MongoStore(db, storeId, gate, close);
    await store.namespaces.prepare();
    await store.nonces.prepare();
    await store.notices.prepare();
    await store.audit.prepare();
    return store;
  } catch (error) {
    await close();
    throw error;
  }
}

async function identity(db: Db, { clock, randomBytes }: MongoOptions): Promise<StoreIdentity> {
  for (;;) {
    const known = await readMongoIdentity(db);
    if (known !== undefined) {
      assertUsable(known);
      return known;
    }
    try {
      const made = { storeId: randomBytes(16).toString('base64url'), createdMs: clock.nowMs() };
      await identitiesIn(db).insertOne(identityDocument(made));
    } catch (error) {
      // Another agent created it at the same time: its document counts.
      if (!isDuplicateKey(error)) throw error;
    }
  }
}

/** The store in MongoDB. */
export class MongoStore implements Store {
  readonly kind = 'mongodb';
  readonly storeId: string;
  readonly namespaces: MongoNamespaces;
  readonly nonces: MongoNonces;
  readonly notices: MongoNotices;
  readonly audit: MongoAudit;
  readonly queueAlerts: MongoQueueAlerts;
  readonly agents: MongoAgents;
  readonly queueExemptions: MongoQueueExemptions;
  readonly secretSightings: MongoSecretSightings;
  // Private, because an inspector that shows it shows the client, and with it the password.
  readonly #db: Db;
  readonly #gate: StoreGate;
  readonly #close: () => Promise<void>;

  constructor(db: Db, storeId: string, gate: StoreGate, close: () => Promise<void>) {
    this.storeId = storeId;
    this.nonces = new MongoNonces(db, gate);
    this.namespaces = new MongoNamespaces(db, gate, this.nonces);
    this.notices = new MongoNotices(db, gate);
    this.audit = new MongoAudit(db, gate);
    this.queueAlerts = new MongoQueueAlerts(db, gate);
    this.agents = new MongoAgents(db, gate);
    this.queueExemptions = new MongoQueueExemptions(db, gate);
    this.secretSightings = new MongoSecretSightings(db, gate);
    this.#db = db;
    this.#gate = gate;
    this.#close = close;
  }

  /** The database, with the store's concerns and time-outs, for the jobs, which have collections in it. */
  get db(): Db {
    return this.#db;
  }

  async check(): Promise<void> {
    await this.#gate.run(async () => {
      await this.#db.command({ ping: 1 });
    });
  }

  async close(): Promise<void> {
    if (this.#gate.close()) await this.#close();
  }
}
