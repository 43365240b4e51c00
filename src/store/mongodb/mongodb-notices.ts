import type { Collection, Db } from 'mongodb';
import type { StoreGate } from '../gate.ts';
import { isDuplicateKey } from './mongodb-errors.ts';
import { makeIndexes } from './mongodb-indexes.ts';
import type { DueNotices, Notice, NoticeStore } from '../notice-records.ts';
import { requireRevision } from '../revision.ts';

/** A {@link Notice} in MongoDB, with instants that a person can read. */
interface NoticeDocument extends Omit<Notice, 'id' | 'seenMs' | 'nextAttemptMs' | 'settledMs'> {
  readonly _id: string;
  readonly seen: Date;
  readonly nextAttempt: Date;
  readonly settled: Date | null;
}

/** The outbox of notices in MongoDB. Whoever inserts the `_id` was first. */
export class MongoNotices implements NoticeStore {
  readonly #gate: StoreGate;
  readonly #documents: Collection<NoticeDocument>;

  constructor(db: Db, gate: StoreGate) {
    this.#gate = gate;
    this.#documents = db.collection('notices');
  }

  /** Makes the collection's indexes; those that are there stay. */
  async prepare(): Promise<void> {
    await makeIndexes(this.#documents, this.#gate);
  }

  async add(notice: Notice): Promise<Notice> {
    requireRevision(notice, 1, notice.id);
    return await this.#gate.run(async () => {
      for (;;) {
        this.#gate.requireOpen();
        try {
          await this.#documents.insertOne(toDocument(notice));
          return notice;
        } catch (error) {
          if (!isDuplicateKey(error)) throw error;
        }
        // It may have been pruned meanwhile.
        const known = await this.#documents.findOne({ _id: notice.id });
        if (known !== null) return toNotice(known);
      }
    });
  }

  async get(id: string): Promise<Notice | undefined> {
    return await this.#gate.run(async () => {
      const document = await this.#documents.findOne({ _id: id });
      return document === null ? undefined : toNotice(document);
    });
  }

  async replace(notice: Notice, expectedRevision: number): Promise<boolean> {
    requireRevision(notice, expectedRevision + 1, notice.id);
    return await this.#gate.run(async () => {
      const { _id, ...document } = toDocument(notice);
      const result = await this.#documents.replaceOne({ _id, revision: expectedRevision }, document);
      return result.matchedCount === 1;
    });
  }

  async due({ beforeMs, limit }: DueNotices): Promise<Notice[]> {
    // To MongoDB a limit of 0 is none at all.
    if (limit <= 0) return await this.#gate.run(() => []);
    return await this.#gate.run(async () => {
      const documents = await this.#documents
        .find({ state: 'waiting', nextAttempt: { $lte: new Date(beforeMs) } })
        .sort({ nextAttempt: 1, _id: 1 })
        .limit(limit)
        .toArray();
      return documents.map(toNotice);
    });
  }

  async countWaiting(): Promise<number> {
    return await this.#gate.run(() => this.#documents.countDocuments({ state: 'waiting' }));
  }

  async prune(beforeMs: number): Promise<number> {
    return await this.#gate.run(async () => {
      const before = { $lt: new Date(beforeMs) };
      const result = await this.#documents.deleteMany({ $or: [{ settled: before }, { state: 'held', seen: before }] });
      return result.deletedCount;
    });
  }
}

function toDocument({ id, seenMs, nextAttemptMs, settledMs, ...same }: Notice): NoticeDocument {
  return {
    _id: id,
    ...same,
    seen: new Date(seenMs),
    nextAttempt: new Date(nextAttemptMs),
    settled: settledMs === null ? null : new Date(settledMs),
  };
}

function toNotice({ _id, seen, nextAttempt, settled, ...same }: NoticeDocument): Notice {
  return {
    id: _id,
    ...same,
    seenMs: seen.getTime(),
    nextAttemptMs: nextAttempt.getTime(),
    settledMs: settled?.getTime() ?? null,
  };
}
