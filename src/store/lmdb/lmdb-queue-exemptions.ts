import type { RootDatabase } from 'lmdb';
import type { ExemptionPage, QueueExemption, QueueExemptionStore } from '../queue-exemption-records.ts';
import type { StoreGate } from '../store-gate.ts';
import { LmdbVersionedCollection } from './lmdb-versioned-collection.ts';

/** Exemptions of queues in LMDB. */
export class LmdbQueueExemptions extends LmdbVersionedCollection<QueueExemption> implements QueueExemptionStore {
  constructor(root: RootDatabase, gate: StoreGate) {
    super(root, 'queue-exemptions', gate);
  }

  protected idOf({ queue }: QueueExemption): string {
    return queue;
  }

  protected updateIndexes(): void {
    // There are none: exemptions are only listed by queue.
  }

  async list({ after, limit }: ExemptionPage): Promise<QueueExemption[]> {
    return await this.listAfter(after, limit);
  }
}
