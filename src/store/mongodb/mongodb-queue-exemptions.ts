import type { Db } from 'mongodb';
import type { ExemptionPage, QueueExemption, QueueExemptionStore } from '../queue-exemption-records.ts';
import type { StoreGate } from '../store-gate.ts';
import { createDocumentMapping, type DocumentOf } from './mongodb-documents.ts';
import { MongoVersionedCollection } from './mongodb-versioned-collection.ts';

type QueueExemptionDocument = DocumentOf<QueueExemption, 'queue'>;

/** Exemptions of queues as documents. */
export const QUEUE_EXEMPTION_DOCUMENTS = createDocumentMapping<QueueExemption, 'queue'>('queue', [
  'untilMs',
  'announcedUntilMs',
]);

/** Exemptions of queues in MongoDB. */
export class MongoQueueExemptions
  extends MongoVersionedCollection<QueueExemption, QueueExemptionDocument>
  implements QueueExemptionStore
{
  constructor(db: Db, gate: StoreGate) {
    super(db, 'queueExemptions', gate, QUEUE_EXEMPTION_DOCUMENTS);
  }

  async list({ after, limit }: ExemptionPage): Promise<QueueExemption[]> {
    return await this.findAfter(after, limit);
  }
}
