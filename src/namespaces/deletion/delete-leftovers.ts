import { storesOfTags } from '../../broker/store-tag.ts';
import type { NamespaceRecord } from '../../store/namespace-record.ts';
import { accountNames } from '../accounts/account-names.ts';
import type { NamespaceContext } from '../namespace-context.ts';
import type { DeleteNamespaces } from './delete-namespaces.ts';

/** Deletes what still exists of namespaces that have a tombstone. */
export interface Leftovers {
  /** Deletes everything that these namespaces own, if they have a tombstone. Rejects as {@link DeleteNamespaces}. */
  delete(namespaces: readonly string[], signal: AbortSignal): Promise<void>;
  /**
   * Deletes what a namespace with a tombstone owns, if one of its accounts exists. A user with the name of an account but
   * without the tag of the store is not the agent's.
   *
   * An agent that read the record right before the deletion may have created an account right after it. When no such
   * write can be under way any more, no account means that nothing can have come back.
   *
   * @returns whether an account existed.
   * @throws AgentError `BrokerUnavailable`, `StoreUnavailable`
   */
  deleteIfAccountExists(record: NamespaceRecord, signal: AbortSignal): Promise<boolean>;
}

/**
 * A tombstone whose name may be used again must not be deleted from: its owner may claim it at any moment, and no
 * later read of the record can take back a delete that is under way. So the tombstone becomes an `expiring` namespace
 * first, which refuses claims until nothing is left and 2F after that.
 */
export function createLeftovers(
  { config, management, store, storeId }: Pick<NamespaceContext, 'config' | 'management' | 'store' | 'storeId'>,
  deleteNamespaces: DeleteNamespaces,
): Leftovers {
  const deleteLeftovers: DeleteNamespaces = async (namespaces, signal) => {
    const reopened: string[] = [];
    for (const namespace of namespaces) {
      signal.throwIfAborted();
      const record = await store.get(namespace);
      if (record?.state !== 'deleted') continue;
      if (await store.replace(reopenTombstone(record), record.revision)) reopened.push(namespace);
    }
    if (reopened.length > 0) await deleteNamespaces(reopened, signal);
  };

  return {
    delete: deleteLeftovers,

    async deleteIfAccountExists({ namespace }, signal) {
      const accounts = accountNames(config.usernamePrefix, namespace);
      const users = await Promise.all(accounts.map((account) => management.getUser(account, { signal })));
      if (!users.some((user) => user !== undefined && storesOfTags(user.tags).includes(storeId))) return false;
      await deleteLeftovers([namespace], signal);
      return true;
    },
  };
}

/** If this agent dies, the next expiry finds the record. */
function reopenTombstone(record: NamespaceRecord): NamespaceRecord {
  return {
    ...record,
    revision: record.revision + 1,
    state: 'expiring',
    deletionReason: record.deletionReason ?? 'expired',
    deletedAtMs: null,
    recheckAtMs: null,
  };
}
