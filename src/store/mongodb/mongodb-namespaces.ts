import type { Collection, Db } from 'mongodb';
import type { StoreGate } from '../gate.ts';
import { type NamespaceDocument, toNamespaceDocument, toNamespaceRecord } from './mongodb-documents.ts';
import { isDuplicateKey } from './mongodb-errors.ts';
import { makeIndexes } from './mongodb-indexes.ts';
import type { NamespaceRecord, NamespaceState } from '../namespace-record.ts';
import { requireRevision } from '../revision.ts';
import { countStates } from '../state-counts.ts';
import type { DueOptions, ListOptions, NamespaceStore } from '../store.ts';

/** Namespaces in MongoDB. A compare-and-set is one write whose filter holds the `_id` and the revision. */
export class MongoNamespaces implements NamespaceStore {
  readonly #gate: StoreGate;
  readonly #documents: Collection<NamespaceDocument>;

  constructor(db: Db, gate: StoreGate) {
    this.#gate = gate;
    this.#documents = db.collection('namespaces');
  }

  /** Makes the collection's indexes; those that are there stay. */
  async prepare(): Promise<void> {
    await makeIndexes(this.#documents, this.#gate);
  }

  async get(namespace: string): Promise<NamespaceRecord | undefined> {
    return await this.#gate.run(async () => {
      const document = await this.#documents.findOne({ _id: namespace });
      return document === null ? undefined : toNamespaceRecord(document);
    });
  }

  async insert(record: NamespaceRecord): Promise<boolean> {
    requireRevision(record, 1, record.namespace);
    return await this.#gate.run(async () => {
      try {
        await this.#documents.insertOne(toNamespaceDocument(record));
        return true;
      } catch (error) {
        if (isDuplicateKey(error)) return false;
        throw error;
      }
    });
  }

  async replace(record: NamespaceRecord, expectedRevision: number): Promise<boolean> {
    requireRevision(record, expectedRevision + 1, record.namespace);
    return await this.#gate.run(async () => {
      const { _id, ...document } = toNamespaceDocument(record);
      const result = await this.#documents.replaceOne({ _id, revision: expectedRevision }, document);
      return result.matchedCount === 1;
    });
  }

  async remove(namespace: string, expectedRevision: number): Promise<boolean> {
    return await this.#gate.run(async () => {
      const result = await this.#documents.deleteOne({ _id: namespace, revision: expectedRevision });
      return result.deletedCount === 1;
    });
  }

  async list({ after, limit, states }: ListOptions): Promise<NamespaceRecord[]> {
    // To MongoDB a limit of 0 is none at all.
    if (limit <= 0) return await this.#gate.run(() => []);
    return await this.#gate.run(async () => {
      const documents = await this.#documents
        .find({
          ...(after === undefined ? {} : { _id: { $gt: after } }),
          ...(states === undefined ? {} : { state: { $in: [...states] } }),
        })
        .sort({ _id: 1 })
        .limit(limit)
        .toArray();
      return documents.map(toNamespaceRecord);
    });
  }

  async dueForRotation(options: DueOptions): Promise<NamespaceRecord[]> {
    return await this.#due('nextRotation', options);
  }

  async dueForExpiry(options: DueOptions): Promise<NamespaceRecord[]> {
    return await this.#due('expires', options);
  }

  async countByState(): Promise<Record<NamespaceState, number>> {
    return await this.#gate.run(() => countStates((state) => this.#documents.countDocuments({ state })));
  }

  async #due(field: 'nextRotation' | 'expires', options: DueOptions): Promise<NamespaceRecord[]> {
    const { states, beforeMs, limit } = options;
    if (limit <= 0) return await this.#gate.run(() => []);
    return await this.#gate.run(async () => {
      const documents = await this.#documents
        .find({ state: { $in: [...states] }, [field]: { $lte: new Date(beforeMs) } })
        .sort({ [field]: 1, _id: 1 })
        .limit(limit)
        .toArray();
      return documents.map(toNamespaceRecord);
    });
  }
}
