import type { AgentRecordStore } from './agent-records.ts';
import type { AuditStore } from './audit-records.ts';
import type { NoticeStore } from './notice-records.ts';
import type { QueueAlertStore } from './queue-alert-records.ts';
import type { QueueExemptionStore } from './queue-exemption-records.ts';
import type { SecretSightingStore } from './secret-records.ts';
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
  readonly notices: Pick<NoticeStore, 'countWaiting'>;
  readonly agents: Pick<AgentRecordStore, 'list'>;
  readonly queueExemptions: Pick<QueueExemptionStore, 'get' | 'list'>;
  readonly secretSightings: Pick<SecretSightingStore, 'get'>;
  close(): Promise<void>;
}

/** A store that is opened to exempt queues, beside the agents that use it: nothing else can be written. */
export interface ExemptionWriter extends StoreReader {
  readonly audit: Pick<AuditStore, 'list' | 'append'>;
  readonly queueExemptions: QueueExemptionStore;
}
