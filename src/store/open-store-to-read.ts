import { AgentError } from '../util/agent-errors.ts';
import type { AuditStore } from './audit-records.ts';
import type { QueueAlertStore } from './queue-alert-records.ts';
import type { NamespaceStore } from './store.ts';

/** A store that is only looked at. */
export interface StoreReader {
  readonly kind: 'mongodb' | 'lmdb';
  /** Undefined while no agent has ever used it. */
  readonly storeId: string | undefined;
  readonly namespaces: Pick<
    NamespaceStore,
    'get' | 'list' | 'dueForRotation' | 'dueForExpiry' | 'countHeldBy' | 'countByState'
  >;
  readonly audit: Pick<AuditStore, 'list'>;
  readonly queueAlerts: Pick<QueueAlertStore, 'get' | 'list'>;
  close(): Promise<void>;
}

/** How long one operation of MongoDB may take, in ms. */
const TIMEOUT_MS = 5000;

/**
 * Opens the store that `storeUrl` names for reading, beside the agents that use it, and makes nothing in it.
 *
 * @throws AgentError `ConfigurationFault` for any other URL; `StoreUnavailable` when the store is not there or does not
 *   answer
 */
export async function openStoreToRead(storeUrl: string): Promise<StoreReader> {
  if (/^mongodb(\+srv)?:\/\//.test(storeUrl)) {
    const { inspectMongoDB } = await import('./mongodb/inspect-mongodb.ts');
    return await inspectMongoDB(storeUrl, TIMEOUT_MS);
  }
  const folder = /^lmdb:(.+)$/s.exec(storeUrl)?.[1];
  if (folder !== undefined) {
    const { inspectLmdb } = await import('./lmdb/inspect-lmdb.ts');
    return await inspectLmdb(folder);
  }
  throw new AgentError('ConfigurationFault', 'STORE_URL must be lmdb:<folder> or a mongodb:// or mongodb+srv:// URL.');
}
