import { parseStoreUrl } from '../config/store-url.ts';
import type { ExemptionWriter } from './store-reader.ts';

/** How long one operation of MongoDB may take, in ms. */
const TIMEOUT_MS = 5000;

/**
 * Opens the store at `storeUrl` to exempt queues, beside the agents that use it, also beside one on LMDB.
 *
 * @throws AgentError `ConfigurationFault` for any other URL; `StoreUnavailable` when the store does not exist or does not
 *   answer; `StoreRefused` when it is retired, or an import into it did not end
 */
export async function openStoreToExempt(storeUrl: string): Promise<ExemptionWriter> {
  const target = parseStoreUrl(storeUrl);
  if (target.kind === 'mongodb') {
    const { inspectMongoDB } = await import('./mongodb/inspect-mongodb.ts');
    return await inspectMongoDB(storeUrl, TIMEOUT_MS);
  }
  const { openLmdbToExempt } = await import('./lmdb/inspect-lmdb.ts');
  return await openLmdbToExempt(target.folder);
}
