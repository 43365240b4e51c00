import type {
  BrokerUser,
  ListedPermissions,
  ListedUserLimits,
  Management,
  Permissions,
} from '../../broker/management/management.ts';
import type { Config } from '../../config/config.ts';
import { permissionsOf } from './account-names.ts';
import { findOldConnections, type OldConnection } from '../connections/close-old-connections.ts';
import { sameLimits, samePermissions, type SeenAccount } from '../reconciliation/decide-repair.ts';

/** What {@link listAccounts} works with. */
export interface AccountListingParts {
  readonly management: Pick<Management, 'listUsers' | 'visitPermissions' | 'visitUserLimits' | 'listConnections'>;
  readonly config: Pick<Config, 'id' | 'vhost' | 'accountLimits'>;
  /** The namespace of an account, undefined for any other user. */
  readonly namespaceOf: (user: string) => string | undefined;
}

/** What the broker has of all accounts. */
export interface ListedAccounts {
  /** The users that are called like accounts, by name. */
  readonly users: ReadonlyMap<string, BrokerUser>;
  /** Those of their connections that were opened too long ago. */
  readonly old: readonly OldConnection[];
  /** What is listed of one account, given what it should be permitted. */
  seen(account: string, expected: Permissions): SeenAccount;
}

/**
 * Lists what the broker has of all accounts. The listings go side by side, as RabbitMQ answers each on one core.
 * Permissions and limits are looked at as they arrive, and of those that are as they should be only the name is kept: what
 * RabbitMQ says of ten thousand accounts is tens of MB, which the process would not give back.
 *
 * @param openedBeforeMs what counts as an old connection, in ms since the epoch
 * @throws AgentError `BrokerUnavailable`
 */
export async function listAccounts(
  { management, config: { id, vhost, accountLimits: limits }, namespaceOf }: AccountListingParts,
  openedBeforeMs: number,
  signal: AbortSignal,
): Promise<ListedAccounts> {
  const options = { signal };
  const users = new Map<string, BrokerUser>();
  const listUsers = async (): Promise<void> => {
    for (const user of await management.listUsers(options)) {
      if (namespaceOf(user.name) !== undefined) users.set(user.name, user);
    }
  };
  const permissions = new ListedOnes<ListedPermissions>();
  const sortPermissions = (listed: ListedPermissions): void => {
    const namespace = namespaceOf(listed.user);
    if (namespace === undefined) return;
    permissions.add(listed, samePermissions(listed, permissionsOf(id, namespace)));
  };
  const userLimits = new ListedOnes<ListedUserLimits>();
  const sortLimits = (listed: ListedUserLimits): void => {
    if (namespaceOf(listed.user) !== undefined) userLimits.add(listed, sameLimits(listed.limits, limits));
  };
  const [connections] = await Promise.all([
    management.listConnections(vhost, options),
    listUsers(),
    management.visitPermissions(vhost, sortPermissions, options),
    management.visitUserLimits(sortLimits, options),
  ]);
  return {
    users,
    old: findOldConnections(connections, openedBeforeMs, namespaceOf),
    seen(account, expected) {
      const user = users.get(account);
      if (user === undefined) return { limits: {} };
      return {
        user,
        permissions: permissions.isExpected(account) ? expected : permissions.other(account),
        limits: userLimits.isExpected(account) ? limits : (userLimits.other(account)?.limits ?? {}),
      };
    },
  };
}

/** What is listed of each user: only its name where it is what is expected. */
class ListedOnes<T extends { readonly user: string }> {
  readonly #expected = new Set<string>();
  readonly #others = new Map<string, T>();

  add(listed: T, isExpected: boolean): void {
    if (isExpected) this.#expected.add(listed.user);
    else this.#others.set(listed.user, listed);
  }

  isExpected(user: string): boolean {
    return this.#expected.has(user);
  }

  other(user: string): T | undefined {
    return this.#others.get(user);
  }
}
