import type { Db } from 'mongodb';
import type { AlertPage, QueueAlert, QueueAlertStore } from '../queue-alert-records.ts';
import type { StoreGate } from '../store-gate.ts';
import { createDocumentMapping, type DocumentOf } from './mongodb-documents.ts';
import { MongoVersionedCollection } from './mongodb-versioned-collection.ts';

type QueueAlertDocument = DocumentOf<QueueAlert, 'queue'>;

/** Queue alerts as documents. */
export const QUEUE_ALERT_DOCUMENTS = createDocumentMapping<QueueAlert, 'queue'>('queue', ['seenMs', 'changedMs']);

/** Queue alerts in MongoDB. */
export class MongoQueueAlerts
  extends MongoVersionedCollection<QueueAlert, QueueAlertDocument>
  implements QueueAlertStore
{
  constructor(db: Db, gate: StoreGate) {
    super(db, 'queueAlerts', gate, QUEUE_ALERT_DOCUMENTS);
  }

  async list({ after, limit }: AlertPage): Promise<QueueAlert[]> {
    return await this.findAfter(after, limit);
  }
}
