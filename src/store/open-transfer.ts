import { parseStoreUrl } from '../config/store-url.ts';
import type { RandomBytes } from '../util/clock.ts';
import type { StoreTransfer } from './store-transfer.ts';

/**
 * Opens the store at `storeUrl` to be copied as a whole.
 *
 * @param mayCreate whether an embedded store is created if there is none
 * @throws AgentError `ConfigurationFault`; `StoreInUse` when an agent holds the folder; `StoreUnavailable`, also when there
 *   is no store and none may be created
 */
export async function openTransfer(
  storeUrl: string,
  options: { readonly mayCreate: boolean; readonly randomBytes: RandomBytes },
): Promise<StoreTransfer> {
  const target = parseStoreUrl(storeUrl);
  if (target.kind === 'mongodb') {
    const { openMongoTransfer } = await import('./mongodb/transfer-mongodb.ts');
    return await openMongoTransfer(storeUrl, options);
  }
  const { openLmdbTransfer } = await import('./lmdb/transfer-lmdb.ts');
  return await openLmdbTransfer(target.folder, options);
}
