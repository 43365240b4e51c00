import type { Management } from '../../broker/management/management.ts';
import type { NamespaceRecord } from '../../store/namespace-record.ts';
import { accountName } from '../accounts/account-names.ts';
import type { DeleteNamespaces } from './delete-namespaces.ts';

/** What {@link createDeleteOrphans} works with. */
export interface DeleteOrphansParts {
  readonly management: Pick<Management, 'getUser'>;
  readonly usernamePrefix: string;
  /** Deletes what is there of namespaces that are gone. */
  readonly endAgain: DeleteNamespaces;
}

/**
 * Looks for accounts of a namespace that is gone, and deletes it once more if there are any.
 *
 * An agent that had read the record right before its end may have made an account again right after it. When no such
 * write can be under way any more, no account means that nothing can have come back.
 *
 * @returns whether there were some.
 * @throws AgentError `BrokerUnavailable`, `StoreUnavailable`
 */
export type DeleteOrphans = (record: NamespaceRecord, signal: AbortSignal) => Promise<boolean>;

/** Makes that function for an installation. */
export function createDeleteOrphans({ management, usernamePrefix, endAgain }: DeleteOrphansParts): DeleteOrphans {
  return async ({ namespace }, signal) => {
    const accounts = ([1, 2] as const).map((slot) => accountName(usernamePrefix, namespace, slot));
    const users = await Promise.all(accounts.map((account) => management.getUser(account, { signal })));
    if (users.every((user) => user === undefined)) return false;
    await endAgain([namespace], signal);
    return true;
  };
}
