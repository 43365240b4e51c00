import type { AuditStore } from './audit-records.ts';
import type { QueueAlertStore } from './queue-alert-records.ts';
import type { NamespaceStore } from './store.ts';

/** A store that is opened for reading. */
export interface StoreReader {
  readonly kind: 'mongodb' | 'lmdb';
  /** Undefined if no agent has used it yet. */
  readonly storeId: string | undefined;
  readonly namespaces: Pick<
    NamespaceStore,
    'get' | 'list' | 'dueForRotation' | 'dueForExpiry' | 'countHeldBy' | 'countByState'
  >;
  readonly audit: Pick<AuditStore, 'list'>;
  readonly queueAlerts: Pick<QueueAlertStore, 'get' | 'list'>;
  close(): Promise<void>;
}
