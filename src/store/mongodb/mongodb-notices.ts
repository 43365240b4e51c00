import type { Db } from 'mongodb';
import { type DueNotices, type Notice, type NoticeStore, UNSENT_STATES } from '../notice-records.ts';
import type { StoreGate } from '../store-gate.ts';
import { insertOrGet } from '../versioned-collection.ts';
import { createDocumentMapping, type DocumentOf } from './mongodb-documents.ts';
import { MongoVersionedCollection } from './mongodb-versioned-collection.ts';

type NoticeDocument = DocumentOf<Notice, 'id'>;

/** Notices as documents. */
export const NOTICE_DOCUMENTS = createDocumentMapping<Notice, 'id'>('id', ['seenMs', 'nextAttemptMs', 'settledMs']);

/** The outbox of notices in MongoDB. */
export class MongoNotices extends MongoVersionedCollection<Notice, NoticeDocument> implements NoticeStore {
  constructor(db: Db, gate: StoreGate) {
    super(db, 'notices', gate, NOTICE_DOCUMENTS);
  }

  async add(notice: Notice): Promise<Notice> {
    return await insertOrGet(this, notice.id, notice);
  }

  async due({ beforeMs, limit }: DueNotices): Promise<Notice[]> {
    const filter = { state: { $in: [...UNSENT_STATES] }, nextAttempt: { $lte: new Date(beforeMs) } };
    return await this.find(filter, { nextAttempt: 1, _id: 1 }, limit);
  }

  async countWaiting(): Promise<number> {
    return await this.gate.run(() => this.documents.countDocuments({ state: { $in: [...UNSENT_STATES] } }));
  }

  async prune(beforeMs: number): Promise<number> {
    return await this.gate.run(async () => {
      const before = { $lt: new Date(beforeMs) };
      const result = await this.documents.deleteMany({ $or: [{ settled: before }, { state: 'held', seen: before }] });
      return result.deletedCount;
    });
  }
}
