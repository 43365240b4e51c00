import type { RootDatabase } from 'lmdb';
import type { AlertPage, QueueAlert, QueueAlertStore } from '../queue-alert-records.ts';
import type { StoreGate } from '../store-gate.ts';
import { LmdbVersionedCollection } from './lmdb-versioned-collection.ts';

/** Queue alerts in LMDB. */
export class LmdbQueueAlerts extends LmdbVersionedCollection<QueueAlert> implements QueueAlertStore {
  constructor(root: RootDatabase, gate: StoreGate) {
    super(root, 'queue-alerts', gate);
  }

  protected idOf({ queue }: QueueAlert): string {
    return queue;
  }

  protected updateIndexes(): void {
    // There are none: alerts are only listed by queue.
  }

  async list({ after, limit }: AlertPage): Promise<QueueAlert[]> {
    return await this.listAfter(after, limit);
  }
}
