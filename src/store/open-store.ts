import type { Clock, RandomBytes } from '../util/clock.ts';
import { parseStoreUrl } from '../config/store-url.ts';
import type { Store } from './store.ts';

/** What a store uses. */
export interface StoreDependencies {
  readonly clock: Clock;
  readonly randomBytes: RandomBytes;
  /** How long MongoDB may take for one operation, in ms; default 5000. */
  readonly timeoutMs?: number;
}

/**
 * Opens the store at `storeUrl`: `lmdb:<folder>`, `mongodb://…` or `mongodb+srv://…`. Only that adapter is loaded: MongoDB's
 * driver alone would take a good part of the memory of an agent on LMDB.
 *
 * @throws AgentError `ConfigurationFault` for any other URL, `StoreInUse` when another agent holds the folder,
 * `StoreUnavailable` when the store does not answer
 * @example
 * const store = await openStore('lmdb:/var/lib/pulse-agent', { clock: systemClock, randomBytes });
 */
export async function openStore(storeUrl: string, dependencies: StoreDependencies): Promise<Store> {
  const target = parseStoreUrl(storeUrl);
  if (target.kind === 'mongodb') {
    const { openMongoStore } = await import('./mongodb/mongodb-store.ts');
    return await openMongoStore({ url: storeUrl, ...dependencies });
  }
  const { openLmdbStore } = await import('./lmdb/lmdb-store.ts');
  const { clock, randomBytes } = dependencies;
  return await openLmdbStore({ folder: target.folder, clock, randomBytes });
}
