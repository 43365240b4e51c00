import { AgentError } from '../util/agent-errors.ts';
import type { StoreReader } from './store-reader.ts';

/** How long one operation of MongoDB may take, in ms. */
const TIMEOUT_MS = 5000;

/**
 * Opens the store at `storeUrl` for reading, beside the agents that use it, and writes nothing.
 *
 * @throws AgentError `ConfigurationFault` for any other URL; `StoreUnavailable` when the store does not exist or does not
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
