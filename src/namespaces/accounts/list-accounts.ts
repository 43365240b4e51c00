import type {
  BrokerUser,
  ListedConnection,
  ListedPermissions,
  ListedUserLimits,
  Management,
} from '../../broker/management/management.ts';
import { hasOnlyStoreTag, storeTag } from '../../broker/store-tag.ts';
import type { Config } from '../../config/config.ts';
import { permissionsOf } from './account-names.ts';
import type { ConnectionAges } from '../connections/connection-ages.ts';
import { findOldConnections, type OldConnection } from '../connections/close-old-connections.ts';
import { type PermissionsByVhost, samePermissions } from '../../broker/user-permissions.ts';
import { type AccountState, sameLimits } from './account-state.ts';

interface AccountListingParts {
  readonly management: Pick<
    Management,
    | 'listUsers'
    | 'visitPermissions'
    | 'listTopicPermissions'
    | 'visitUserLimits'
    | 'listConnections'
    | 'listOpenConnections'
  >;
  readonly config: Pick<Config, 'id' | 'vhost' | 'requestVhost' | 'accountLimits'>;
  readonly storeId: string;
  /** The namespace of an account, undefined for any other user. */
  readonly namespaceOf: (user: string) => string | undefined;
  readonly ages: ConnectionAges;
}

/** All accounts on the broker. */
export interface ListedAccounts {
  /** The account-like users, by name. */
  readonly users: ReadonlyMap<string, BrokerUser>;
  /** Those of their connections that are too old. */
  readonly old: readonly OldConnection[];
  /** The state of one account, given the permissions that it should have. */
  stateOf(account: string, expected: PermissionsByVhost): AccountState;
}

/**
 * Lists all accounts on the broker. The listings run concurrently, because RabbitMQ answers each on one core.
 * Permissions and limits are checked as they arrive, and where they are as expected only the name is kept: the full
 * listing of ten thousand accounts is tens of MB, which the process would not release.
 *
 * @param instants connections from before `openedBeforeMs` are too old; `seenMs` is now. In ms since the epoch
 * @throws AgentError `BrokerUnavailable`
 */
export async function listAccounts(
  { management, config, storeId, namespaceOf, ages }: AccountListingParts,
  { openedBeforeMs, seenMs }: { readonly openedBeforeMs: number; readonly seenMs: number },
  signal: AbortSignal,
): Promise<ListedAccounts> {
  const { accountLimits: limits } = config;
  const options = { signal };
  const users = new Map<string, BrokerUser>();
  // One list for all accounts, instead of one each.
  const tags = [storeTag(storeId)];
  const listUsers = async (): Promise<void> => {
    for (const user of await management.listUsers(options)) {
      if (namespaceOf(user.name) === undefined) continue;
      users.set(user.name, hasOnlyStoreTag(user.tags, storeId) ? { ...user, tags } : user);
    }
  };
  const permissions = new PermissionsListing();
  const addPermissions = (listed: ListedPermissions): void => {
    const namespace = namespaceOf(listed.user);
    if (namespace !== undefined) permissions.add(listed, permissionsOf(config, namespace));
  };
  const topicPermissions = new Map<string, string[]>();
  const listTopicPermissions = async (): Promise<void> => {
    for (const { user, vhost } of await management.listTopicPermissions(options)) {
      if (namespaceOf(user) !== undefined) topicPermissions.set(user, [...(topicPermissions.get(user) ?? []), vhost]);
    }
  };
  const userLimits = new UserListing<ListedUserLimits>();
  const addLimits = (listed: ListedUserLimits): void => {
    if (namespaceOf(listed.user) !== undefined) userLimits.add(listed, sameLimits(listed.limits, limits));
  };
  const listConnections = async (): Promise<ListedConnection[]> => {
    const [inVhost, inRequestVhost, open] = await Promise.all([
      management.listConnections(config.vhost, options),
      management.listConnections(config.requestVhost, options),
      management.listOpenConnections(options),
    ]);
    const aged = [...inVhost, ...inRequestVhost];
    const ofAccounts = open.filter(({ user }) => namespaceOf(user) !== undefined);
    return [...aged, ...ages.record(ofAccounts, aged, seenMs)];
  };
  const [connections] = await Promise.all([
    listConnections(),
    listUsers(),
    management.visitPermissions(addPermissions, options),
    listTopicPermissions(),
    management.visitUserLimits(addLimits, options),
  ]);
  return {
    users,
    old: findOldConnections(connections, openedBeforeMs, namespaceOf),
    stateOf(account, expected) {
      const user = users.get(account);
      if (user === undefined) return { permissions: {}, topicPermissions: [], limits: {} };
      return {
        user,
        permissions: permissions.of(account, expected),
        topicPermissions: topicPermissions.get(account) ?? [],
        limits: userLimits.isExpected(account) ? limits : (userLimits.unexpected(account)?.limits ?? {}),
      };
    },
  };
}

/** The permissions of each account; of those that are as expected only the vhost. */
class PermissionsListing {
  readonly #expected = new Map<string, readonly string[]>();
  readonly #unexpected = new Map<string, PermissionsByVhost>();

  add({ user, vhost, ...permissions }: ListedPermissions, expected: PermissionsByVhost): void {
    if (vhost in expected && samePermissions(permissions, expected[vhost])) {
      this.#expected.set(user, [...(this.#expected.get(user) ?? []), vhost]);
    } else this.#unexpected.set(user, { ...this.#unexpected.get(user), [vhost]: permissions });
  }

  /** The permissions of an account, given the expected ones. */
  of(user: string, expected: PermissionsByVhost): PermissionsByVhost {
    const vhosts = this.#expected.get(user) ?? [];
    const unexpected = this.#unexpected.get(user);
    if (unexpected === undefined && vhosts.length === Object.keys(expected).length) return expected;
    const kept = Object.entries(expected).filter(([vhost]) => vhosts.includes(vhost));
    return { ...Object.fromEntries(kept), ...unexpected };
  }
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
