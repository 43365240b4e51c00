import {
  type BrokerUser,
  HASHING_ALGORITHM,
  type ListedConnection,
  type ListedPermissions,
  type ListedUserLimits,
  type Management,
  type UserLimits,
} from '../../broker/management/management.ts';
import { hasOnlyStoreTag, storeTag } from '../../broker/store-tag.ts';
import { type PermissionsByVhost, samePermissions } from '../../broker/user-permissions.ts';
import type { Config } from '../../config/config.ts';
import type { ConnectionAges } from '../connections/connection-ages.ts';
import { findOldConnections, type OldConnection } from '../connections/close-old-connections.ts';
import { createPermissionsOf } from './account-names.ts';
import { type AccountState, sameLimits } from './account-state.ts';

interface AccountListingParts {
  readonly management: Pick<
    Management,
    | 'visitUsers'
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
  /** Those of their connections that are too old. */
  readonly old: readonly OldConnection[];
  /** Whether there is such an account. */
  has(account: string): boolean;
  /** Notes that an account has a record. */
  addRecord(account: string): void;
  /** The accounts, and whether they have a record, as far as that was noted. */
  users(): Iterable<{ readonly user: BrokerUser; readonly hasRecord: boolean }>;
  /** The state of one account, given the permissions that it should have. */
  stateOf(account: string, expected: PermissionsByVhost): AccountState;
}

/**
 * What is listed of one user, in one object for all listings: there may be a hundred thousand, and of most of them nothing
 * differs from what is expected but the password.
 */
interface Entry {
  /** Undefined: the user itself is not listed. */
  passwordHash: string | undefined;
  /** The user, where more than its password is not as expected. */
  unexpectedUser: BrokerUser | undefined;
  /** The vhosts in which its permissions are as expected: the sum of their bits. */
  expectedVhosts: number;
  unexpectedPermissions: PermissionsByVhost | undefined;
  /** True: as expected. Undefined: none. */
  limits: UserLimits | true | undefined;
  hasRecord: boolean;
}

/**
 * Lists all accounts on the broker. The listings run concurrently, because RabbitMQ answers each on one core.
 * Permissions and limits are checked as they arrive, and where they are as expected nothing is kept: the full listing of
 * ten thousand accounts is tens of MB, which the process would not release.
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
  const entries = new Map<string, Entry>();
  const entryOf = (user: string): Entry => {
    let entry = entries.get(user);
    if (entry === undefined) {
      entry = {
        passwordHash: undefined,
        unexpectedUser: undefined,
        expectedVhosts: 0,
        unexpectedPermissions: undefined,
        limits: undefined,
        hasRecord: false,
      };
      entries.set(user, entry);
    }
    return entry;
  };
  // One list for all accounts, instead of one each.
  const tags = [storeTag(storeId)];
  const addUser = (user: BrokerUser): void => {
    if (namespaceOf(user.name) === undefined) return;
    const entry = entryOf(user.name);
    entry.passwordHash = user.passwordHash;
    const isExpected = user.hashingAlgorithm === HASHING_ALGORITHM && hasOnlyStoreTag(user.tags, storeId);
    if (!isExpected) entry.unexpectedUser = user;
  };
  const userOf = (name: string, { passwordHash, unexpectedUser }: Entry): BrokerUser | undefined =>
    passwordHash === undefined
      ? undefined
      : (unexpectedUser ?? { name, passwordHash, hashingAlgorithm: HASHING_ALGORITHM, tags });
  const permissionsOf = createPermissionsOf(config);
  const bits: Readonly<Record<string, number>> = { [config.vhost]: 1, [config.requestVhost]: 2 };
  const addPermissions = ({ user, vhost, ...permissions }: ListedPermissions): void => {
    const namespace = namespaceOf(user);
    if (namespace === undefined) return;
    const entry = entryOf(user);
    const bit = Object.hasOwn(bits, vhost) ? (bits[vhost] ?? 0) : 0;
    const isExpected = bit > 0 && samePermissions(permissions, permissionsOf(namespace)[vhost]);
    if (isExpected) entry.expectedVhosts |= bit;
    else entry.unexpectedPermissions = { ...entry.unexpectedPermissions, [vhost]: permissions };
  };
  const topicPermissions = new Map<string, string[]>();
  const listTopicPermissions = async (): Promise<void> => {
    for (const { user, vhost } of await management.listTopicPermissions(options)) {
      if (namespaceOf(user) !== undefined) topicPermissions.set(user, [...(topicPermissions.get(user) ?? []), vhost]);
    }
  };
  const addLimits = ({ user, limits: found }: ListedUserLimits): void => {
    if (namespaceOf(user) !== undefined) entryOf(user).limits = sameLimits(found, limits) ? true : found;
  };
  const listConnections = async (): Promise<ListedConnection[]> => {
    // One after the other: RabbitMQ 3.10 answers 500 to one of two listings that are its first at the same time.
    const listAged = async (): Promise<ListedConnection[]> => {
      const inVhost = await management.listConnections(config.vhost, options);
      return [...inVhost, ...(await management.listConnections(config.requestVhost, options))];
    };
    const [aged, open] = await Promise.all([listAged(), management.listOpenConnections(options)]);
    const ofAccounts = open.filter(({ user }) => namespaceOf(user) !== undefined);
    return [...aged, ...ages.record(ofAccounts, aged, seenMs)];
  };
  const [connections] = await Promise.all([
    listConnections(),
    management.visitUsers(addUser, options),
    management.visitPermissions(addPermissions, options),
    listTopicPermissions(),
    management.visitUserLimits(addLimits, options),
  ]);

  const permissionsIn = ({ expectedVhosts, unexpectedPermissions }: Entry, expected: PermissionsByVhost) => {
    const vhosts = Object.keys(expected);
    const asExpected = vhosts.filter((vhost) => (expectedVhosts & (bits[vhost] ?? 0)) !== 0);
    if (unexpectedPermissions === undefined && asExpected.length === vhosts.length) return expected;
    const kept = Object.entries(expected).filter(([vhost]) => asExpected.includes(vhost));
    return { ...Object.fromEntries(kept), ...unexpectedPermissions };
  };
  return {
    old: findOldConnections(connections, openedBeforeMs, namespaceOf),
    has: (account) => entries.get(account)?.passwordHash !== undefined,
    addRecord(account) {
      const entry = entries.get(account);
      if (entry !== undefined) entry.hasRecord = true;
    },
    *users() {
      for (const [name, entry] of entries) {
        const user = userOf(name, entry);
        if (user !== undefined) yield { user, hasRecord: entry.hasRecord };
      }
    },
    stateOf(account, expected) {
      const entry = entries.get(account);
      const user = entry && userOf(account, entry);
      if (entry === undefined || user === undefined) return { permissions: {}, topicPermissions: [], limits: {} };
      return {
        user,
        permissions: permissionsIn(entry, expected),
        topicPermissions: topicPermissions.get(account) ?? [],
        limits: entry.limits === true ? limits : (entry.limits ?? {}),
      };
    },
  };
}
