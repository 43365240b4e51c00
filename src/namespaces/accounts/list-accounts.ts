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
import { type AccountState, sameLimits, samePermissions } from './account-state.ts';

interface AccountListingParts {
  readonly management: Pick<Management, 'listUsers' | 'visitPermissions' | 'visitUserLimits' | 'listConnections'>;
  readonly config: Pick<Config, 'id' | 'vhost' | 'accountLimits'>;
  /** The namespace of an account, undefined for any other user. */
  readonly namespaceOf: (user: string) => string | undefined;
}

/** All accounts on the broker. */
export interface ListedAccounts {
  /** The account-like users, by name. */
  readonly users: ReadonlyMap<string, BrokerUser>;
  /** Those of their connections that are too old. */
  readonly old: readonly OldConnection[];
  /** The state of one account, given the permissions that it should have. */
  stateOf(account: string, expected: Permissions): AccountState;
}

/**
 * Lists all accounts on the broker. The listings run concurrently, because RabbitMQ answers each on one core.
 * Permissions and limits are checked as they arrive, and where they are as expected only the name is kept: the full
 * listing of ten thousand accounts is tens of MB, which the process would not release.
 *
 * @param openedBeforeMs older connections are too old, in ms since the epoch
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
  const permissions = new UserListing<ListedPermissions>();
  const addPermissions = (listed: ListedPermissions): void => {
    const namespace = namespaceOf(listed.user);
    if (namespace === undefined) return;
    permissions.add(listed, samePermissions(listed, permissionsOf(id, namespace)));
  };
  const userLimits = new UserListing<ListedUserLimits>();
  const addLimits = (listed: ListedUserLimits): void => {
    if (namespaceOf(listed.user) !== undefined) userLimits.add(listed, sameLimits(listed.limits, limits));
  };
  const [connections] = await Promise.all([
    management.listConnections(vhost, options),
    listUsers(),
    management.visitPermissions(vhost, addPermissions, options),
    management.visitUserLimits(addLimits, options),
  ]);
  return {
    users,
    old: findOldConnections(connections, openedBeforeMs, namespaceOf),
    stateOf(account, expected) {
      const user = users.get(account);
      if (user === undefined) return { limits: {} };
      return {
        user,
        permissions: permissions.isExpected(account) ? expected : permissions.unexpected(account),
        limits: userLimits.isExpected(account) ? limits : (userLimits.unexpected(account)?.limits ?? {}),
      };
    },
  };
}

/** What is listed of each user; of those that are as expected only the name. */
class UserListing<T extends { readonly user: string }> {
  readonly #expected = new Set<string>();
  readonly #unexpected = new Map<string, T>();

  add(listed: T, isExpected: boolean): void {
    if (isExpected) this.#expected.add(listed.user);
    else this.#unexpected.set(listed.user, listed);
  }

  isExpected(user: string): boolean {
    return this.#expected.has(user);
  }

  unexpected(user: string): T | undefined {
    return this.#unexpected.get(user);
  }
}
