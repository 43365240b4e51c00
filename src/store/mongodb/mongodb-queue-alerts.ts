import type { Collection, Db } from 'mongodb';
import type { StoreGate } from '../gate.ts';
import { type QueueAlertDocument, toQueueAlert, toQueueAlertDocument } from './mongodb-documents.ts';
import { isDuplicateKey } from './mongodb-errors.ts';
import type { AlertPage, QueueAlert, QueueAlertStore } from '../queue-alert-records.ts';
import { requireRevision } from '../revision.ts';

/** Queues that have grown too large, in MongoDB; the queue is the `_id`. */
export class MongoQueueAlerts implements QueueAlertStore {
  readonly #gate: StoreGate;
  readonly #documents: Collection<QueueAlertDocument>;

  constructor(db: Db, gate: StoreGate) {
    this.#gate = gate;
    this.#documents = db.collection('queueAlerts');
  }

  async get(queue: string): Promise<QueueAlert | undefined> {
    return await this.#gate.run(async () => {
      const document = await this.#documents.findOne({ _id: queue });
      return document === null ? undefined : toQueueAlert(document);
    });
  }

  async insert(alert: QueueAlert): Promise<boolean> {
    requireRevision(alert, 1, alert.queue);
    return await this.#gate.run(async () => {
      try {
        await this.#documents.insertOne(toQueueAlertDocument(alert));
        return true;
      } catch (error) {
        if (isDuplicateKey(error)) return false;
        throw error;
      }
    });
  }

  async replace(alert: QueueAlert, expectedRevision: number): Promise<boolean> {
    requireRevision(alert, expectedRevision + 1, alert.queue);
    return await this.#gate.run(async () => {
      const { _id, ...document } = toQueueAlertDocument(alert);
      const result = await this.#documents.replaceOne({ _id, revision: expectedRevision }, document);
      return result.matchedCount === 1;
    });
  }

  async remove(queue: string, expectedRevision: number): Promise<boolean> {
    return await this.#gate.run(async () => {
      const result = await this.#documents.deleteOne({ _id: queue, revision: expectedRevision });
      return result.deletedCount === 1;
    });
  }

  async list({ after, limit }: AlertPage): Promise<QueueAlert[]> {
    // To MongoDB a limit of 0 is none at all.
    if (limit <= 0) return await this.#gate.run(() => []);
    return await this.#gate.run(async () => {
      const documents = await this.#documents
        .find(after === undefined ? {} : { _id: { $gt: after } })
        .sort({ _id: 1 })
        .limit(limit)
        .toArray();
      return documents.map(toQueueAlert);
    });
  }
}
