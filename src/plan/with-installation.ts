import type { Management } from '../broker/management/management.ts';
import { openManagement } from '../broker/management/open-management.ts';
import { assertNotForeign } from '../broker/marker.ts';
import type { Config } from '../config/config.ts';
import { openStoreToRead } from '../store/open-store-to-read.ts';
import type { StoreReader } from '../store/store-reader.ts';
import { AgentError } from '../util/agent-errors.ts';

/** The store and the broker of an installation, to be read. */
export interface Installation {
  readonly store: StoreReader;
  readonly management: Management;
}

/**
 * Runs `work` with the store and the management API of the agents that have this configuration. Agents may run or not.
 *
 * @throws AgentError when the store or the broker cannot be read, no agent has used the store, or the broker belongs to
 *   another one
 */
export async function withInstallation<T>(
  config: Config,
  signal: AbortSignal,
  work: (installation: Installation) => Promise<T>,
): Promise<T> {
  const management = openManagement(config);
  const store = await openStoreToRead(config.storeUrl.reveal());
  try {
    const { storeId } = store;
    if (storeId === undefined) {
      throw new AgentError('StoreUnavailable', 'No agent has used this store: check STORE_URL, or start an agent.');
    }
    await assertNotForeign(management, { ...config, storeId }, { signal });
    return await work({ store, management });
  } finally {
    management.close();
    await store.close();
  }
}
