import { loadConfig } from '../config/config.ts';
import { needsRecheck } from '../namespaces/revocation/decide-revocation.ts';
import { openStoreToRead } from '../store/open-store-to-read.ts';
import type { CommandContext } from './define-command.ts';
import { waitFor } from './wait-for.ts';

/** Finds out in the store when a revocation is complete. */
export interface RevocationWatch {
  /** @throws WireError `Unavailable` when it is not complete in time; the reason of the signal */
  untilComplete(namespace: string, limitMs: number): Promise<void>;
  close(): Promise<void>;
}

/** The sentence for a revocation that is not complete in time. */
export function lateRevocation(namespace: string): string {
  return `The credentials of ${namespace} are revoked, but the connections that old ones may have opened are not closed a second time yet. The agents go on with it; the log lines namespace_work_failed of the agents say what keeps it`;
}

/**
 * Opens the store with the configuration of an agent.
 *
 * @throws AgentError `ConfigurationFault`, `StoreUnavailable`
 */
export async function openRevocationWatch({ env, signal }: CommandContext): Promise<RevocationWatch> {
  const { storeUrl } = loadConfig(env);
  const store = await openStoreToRead(storeUrl.reveal());
  const isComplete = async (namespace: string): Promise<boolean> => {
    const record = await store.namespaces.get(namespace);
    return record === undefined || !needsRecheck(record);
  };
  return {
    untilComplete: (namespace, limitMs) =>
      waitFor(() => isComplete(namespace), { limitMs, late: lateRevocation(namespace), signal }),
    close: () => store.close(),
  };
}
