import type { Collection, Db, Filter } from 'mongodb';
import type { AuditQuery, AuditRecord, AuditStore } from '../audit-records.ts';
import type { StoreGate } from '../store-gate.ts';
import { createDocumentMapping, type DocumentOf } from './mongodb-documents.ts';
import { areDuplicates } from './mongodb-errors.ts';
import { makeIndexes } from './mongodb-indexes.ts';

type AuditDocument = DocumentOf<AuditRecord, 'id'>;

/** Audit records as documents. */
export const AUDIT_DOCUMENTS = createDocumentMapping<AuditRecord, 'id'>('id', ['atMs']);

/** The audit in MongoDB. */
export class MongoAudit implements AuditStore {
  readonly #gate: StoreGate;
  readonly #documents: Collection<AuditDocument>;

  constructor(db: Db, gate: StoreGate) {
    this.#gate = gate;
    this.#documents = db.collection('audit');
  }

  /** Creates the indexes of the collection; existing ones stay. */
  async prepare(): Promise<void> {
    await makeIndexes(this.#documents, this.#gate);
  }

  async append(records: readonly AuditRecord[]): Promise<void> {
    // The driver refuses to insert nothing.
    if (records.length === 0) return;
    await this.#gate.run(async () => {
      try {
        await this.#documents.insertMany(records.map(AUDIT_DOCUMENTS.toDocument), { ordered: false });
      } catch (error) {
        if (!areDuplicates(error)) throw error;
      }
    });
  }

  async list(query: AuditQuery): Promise<AuditRecord[]> {
    // To MongoDB a limit of 0 is none at all.
    if (query.limit <= 0) return await this.#gate.run(() => []);
    return await this.#gate.run(async () => {
      const documents = await this.#documents
        .find(filterOf(query))
        .sort({ at: -1, _id: -1 })
        .limit(query.limit)
        .toArray();
      return documents.map(AUDIT_DOCUMENTS.toItem).toReversed();
    });
  }

  async prune(beforeMs: number): Promise<number> {
    return await this.#gate.run(async () => {
      const result = await this.#documents.deleteMany({ at: { $lt: new Date(beforeMs) } });
      return result.deletedCount;
    });
  }
}

function filterOf({ namespace, sinceMs, untilMs, before }: AuditQuery): Filter<AuditDocument> {
  const conditions: Filter<AuditDocument>[] = [];
  if (namespace !== undefined) conditions.push({ namespace });
  if (sinceMs !== undefined) conditions.push({ at: { $gte: new Date(sinceMs) } });
  if (untilMs !== undefined) conditions.push({ at: { $lt: new Date(untilMs) } });
  if (before !== undefined) {
    const at = new Date(before.atMs);
    conditions.push({ $or: [{ at: { $lt: at } }, { at, _id: { $lt: before.id } }] });
  }
  return conditions.length === 0 ? {} : { $and: conditions };
}
