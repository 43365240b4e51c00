import type { Db, Document, Filter, WithId } from 'mongodb';
import { AgentError } from '../../util/agent-errors.ts';
import { parseMongoUrl } from '../../config/mongodb-url.ts';
import type { AuditRecord } from '../audit-records.ts';
import { StoreGate } from '../store-gate.ts';
import type { StoreIdentity } from '../store-identity.ts';
import { STORE_COLLECTIONS, type StoreCollection, type StoreTransfer } from '../store-transfer.ts';
import { AUDIT_DOCUMENTS } from './mongodb-audit.ts';
import { createMongoClient } from './mongodb-client.ts';
import type { DocumentMapping } from './mongodb-documents.ts';
import { areDuplicates, isDuplicateKey, mongoUnavailable } from './mongodb-errors.ts';
import { identitiesIn, identityDocument, readMongoIdentity } from './mongodb-identity.ts';
import { makeIndexes } from './mongodb-indexes.ts';
import { NAMESPACE_DOCUMENTS } from './mongodb-namespaces.ts';
import { NONCE_DOCUMENTS } from './mongodb-nonces.ts';
import { NOTICE_DOCUMENTS } from './mongodb-notices.ts';
import { QUEUE_ALERT_DOCUMENTS } from './mongodb-queue-alerts.ts';
import { QUEUE_EXEMPTION_DOCUMENTS } from './mongodb-queue-exemptions.ts';

/** How many documents are read in one step. */
const PAGE_SIZE = 1000;

/** How long one operation may take, in ms. */
const TIMEOUT_MS = 30_000;

/** Agents on MongoDB keep their jobs here. */
const JOBS = 'jobs';

/** What running agents keep; an import removes it, and agents create it again. */
const OF_RUNNING_AGENTS = [JOBS, 'agents', 'secretSightings'];

type KeptDocument = Document & { readonly _id: string };

/** How the records of each collection become documents; the collections have the same names. */
const MAPPINGS = {
  namespaces: NAMESPACE_DOCUMENTS,
  queueAlerts: QUEUE_ALERT_DOCUMENTS,
  queueExemptions: QUEUE_EXEMPTION_DOCUMENTS,
  notices: NOTICE_DOCUMENTS,
  nonces: NONCE_DOCUMENTS,
  audit: AUDIT_DOCUMENTS,
} as Readonly<Record<StoreCollection, unknown>> as Readonly<
  Record<StoreCollection, DocumentMapping<object, KeptDocument>>
>;

/**
 * Opens the store in MongoDB to be copied. Nothing keeps agents from it until an import begins: see
 * {@link StoreTransfer.activity}.
 *
 * @throws AgentError `ConfigurationFault`, `StoreUnavailable`
 */
export async function openMongoTransfer(
  url: string,
  { mayCreate }: { readonly mayCreate: boolean },
): Promise<StoreTransfer> {
  const target = parseMongoUrl(url);
  const gate = new StoreGate((error) => mongoUnavailable(error, target), TIMEOUT_MS);
  const client = createMongoClient(target.url, TIMEOUT_MS);
  try {
    const db = client.db(target.database);
    const identity = await gate.run(() => readMongoIdentity(db));
    if (identity === undefined && !mayCreate) {
      throw new AgentError(
        'StoreUnavailable',
        `There is no store in the database ${target.database}: check that STORE_URL names it.`,
      );
    }
    return new MongoTransfer(db, identity, gate, () => client.close());
  } catch (error) {
    await client.close();
    throw error;
  }
}

class MongoTransfer implements StoreTransfer {
  readonly kind = 'mongodb';
  readonly #db: Db;
  readonly #gate: StoreGate;
  readonly #close: () => Promise<void>;
  #identity: StoreIdentity | undefined;
  #importId: string | undefined;

  constructor(db: Db, identity: StoreIdentity | undefined, gate: StoreGate, close: () => Promise<void>) {
    this.#db = db;
    this.#identity = identity;
    this.#gate = gate;
    this.#close = close;
  }

  get identity(): StoreIdentity | undefined {
    return this.#identity;
  }

  async isEmpty(): Promise<boolean> {
    const counts = STORE_COLLECTIONS.map((name) =>
      this.#gate.run(() => this.#documents(name).countDocuments({}, { limit: 1 })),
    );
    return (await Promise.all(counts)).every((count) => count === 0);
  }

  async *pages(collection: StoreCollection, signal: AbortSignal): AsyncGenerator<readonly object[]> {
    const { toItem } = MAPPINGS[collection];
    for (let last: string | undefined; ; ) {
      signal.throwIfAborted();
      const after: Filter<KeptDocument> = last === undefined ? {} : { _id: { $gt: last } };
      const page = await this.#gate.run(() =>
        this.#documents(collection)
          .find(after, { sort: { _id: 1 }, limit: PAGE_SIZE })
          .toArray(),
      );
      if (page.length > 0) yield page.map((document: WithId<KeptDocument>) => toItem(document));
      if (page.length < PAGE_SIZE) return;
      const { _id } = page.at(-1) ?? {};
      last = _id;
    }
  }

  async beginImport(identity: StoreIdentity): Promise<void> {
    await this.#putIdentity(identity);
    this.#importId = identity.unfinishedImport;
    for (const name of [...STORE_COLLECTIONS, ...OF_RUNNING_AGENTS]) {
      // Dropped: to delete 100,000 documents one by one takes longer than an operation may.
      await this.#gate.run(() => this.#db.collection(name).drop());
    }
    for (const name of STORE_COLLECTIONS) await makeIndexes(this.#documents(name), this.#gate);
  }

  async add(collection: StoreCollection, records: readonly object[]): Promise<void> {
    // The driver refuses to insert nothing.
    if (records.length === 0) return;
    await this.#gate.run(async () => {
      try {
        await this.#documents(collection).insertMany(records.map(MAPPINGS[collection].toDocument), { ordered: false });
      } catch (error) {
        // Of an earlier attempt whose answer was lost; the counts at the end show any other.
        if (!areDuplicates(error)) throw error;
      }
    });
  }

  async finishImport(identity: StoreIdentity): Promise<boolean> {
    const { _id, ...document } = identityDocument(identity);
    return await this.#gate.run(async () => {
      const importId = this.#importId;
      if (importId === undefined) return false;
      const done = await identitiesIn(this.#db).replaceOne({ _id, unfinishedImport: importId }, document);
      return done.matchedCount === 1;
    });
  }

  async retire(nowMs: number): Promise<void> {
    if (this.#identity !== undefined) await this.#putIdentity({ ...this.#identity, retiredMs: nowMs });
  }

  async audit(record: AuditRecord): Promise<void> {
    await this.add('audit', [record]);
  }

  async activity(): Promise<string> {
    return await this.#gate.run(async () => {
      const jobs = await this.#db
        .collection(JOBS)
        .find({}, { sort: { _id: 1 } })
        .toArray();
      return JSON.stringify(
        jobs.map(({ _id, lastRunAt, lockedAt, nextRunAt }) => [_id, lastRunAt, lockedAt, nextRunAt]),
      );
    });
  }

  async close(): Promise<void> {
    if (this.#gate.close()) await this.#close();
  }

  async #putIdentity(identity: StoreIdentity): Promise<void> {
    const { _id, ...document } = identityDocument(identity);
    await this.#gate.run(async () => {
      try {
        await identitiesIn(this.#db).replaceOne({ _id }, document, { upsert: true });
      } catch (error) {
        // An agent created it at the same moment.
        if (!isDuplicateKey(error)) throw error;
        await identitiesIn(this.#db).replaceOne({ _id }, document);
      }
    });
    this.#identity = identity;
  }

  #documents(collection: StoreCollection) {
    return this.#db.collection<KeptDocument>(collection);
  }
}
