import type { Collection, Db } from 'mongodb';
import type { StoreGate } from '../store-gate.ts';
import { createDocumentMapping, type DocumentOf } from './mongodb-documents.ts';
import { isDuplicateKey } from './mongodb-errors.ts';
import { makeIndexes } from './mongodb-indexes.ts';
import type { NonceEntry, NonceStore } from '../nonce-records.ts';

type NonceDocument = DocumentOf<NonceEntry, 'key'>;

/** Used signatures as documents. */
export const NONCE_DOCUMENTS = createDocumentMapping<NonceEntry, 'key'>('key', ['firstSeenMs', 'acceptableUntilMs']);

/** Used signatures in MongoDB. The agent that inserts the `_id` was first. */
export class MongoNonces implements NonceStore {
  readonly areWrittenWithRecord = false;
  readonly #gate: StoreGate;
  readonly #documents: Collection<NonceDocument>;

  constructor(db: Db, gate: StoreGate) {
    this.#gate = gate;
    this.#documents = db.collection('nonces');
  }

  /** Makes the index of the collection. It is not a TTL index: `prune` removes and counts. */
  async prepare(): Promise<void> {
    await makeIndexes(this.#documents, this.#gate);
  }

  async get(key: string): Promise<NonceEntry | undefined> {
    return await this.#gate.run(async () => {
      const known = await this.#documents.findOne({ _id: key });
      return known === null ? undefined : NONCE_DOCUMENTS.toItem(known);
    });
  }

  /** Keeps `entry` unless its key is known. Returns whether it did. */
  async keep(entry: NonceEntry): Promise<boolean> {
    return await this.#gate.run(async () => {
      try {
        await this.#documents.insertOne(NONCE_DOCUMENTS.toDocument(entry));
        return true;
      } catch (error) {
        if (isDuplicateKey(error)) return false;
        throw error;
      }
    });
  }

  async remember(entry: NonceEntry): Promise<NonceEntry> {
    return await this.#gate.run(async () => {
      for (;;) {
        if (await this.keep(entry)) return entry;
        // If it was pruned since then, it is added after all.
        const known = await this.get(entry.key);
        if (known !== undefined) return known;
      }
    });
  }

  async recordOutcome(key: string, outcome: string): Promise<string | undefined> {
    return await this.#gate.run(async () => {
      await this.#documents.updateOne({ _id: key, outcome: null }, { $set: { outcome } });
      return (await this.#documents.findOne({ _id: key }))?.outcome ?? undefined;
    });
  }

  async prune(beforeMs: number): Promise<number> {
    return await this.#gate.run(async () => {
      const result = await this.#documents.deleteMany({ acceptableUntil: { $lt: new Date(beforeMs) } });
      return result.deletedCount;
    });
  }
}
