import type {
  BrokerUser,
  ListedPermissions,
  ListedUserLimits,
  Management,
  Permissions,
  UserLimits,
} from '../broker/management.ts';
import { permissionsOf } from './accounts.ts';
import { findOldConnections, type OldConnection } from './close-old-connections.ts';
import { sameLimits, samePermissions, type SeenAccount } from './decide-repair.ts';

/** What {@link listAccounts} works with. */
export interface AccountListingParts {
  readonly management: Pick<Management, 'listUsers' | 'visitPermissions' | 'visitUserLimits' | 'listConnections'>;
  readonly settings: { readonly agentId: string; readonly vhost: string; readonly limits: UserLimits };
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
 * Lists what the broker has of all accounts. One listing comes after the other, each is looked at as it arrives, and only
 * what is not as it should be is kept: with ten thousand namespaces all at once are tens of MB, which the process would not give back.
 *
 * @param openedBeforeMs what counts as an old connection, in ms since the epoch
 * @throws AgentError `BrokerUnavailable`
 */
export async function listAccounts(
  { management, settings: { agentId, vhost, limits }, namespaceOf }: AccountListingParts,
  openedBeforeMs: number,
  signal: AbortSignal,
): Promise<ListedAccounts> {
  const users = new Map<string, BrokerUser>();
  for (const user of await management.listUsers({ signal })) {
    if (namespaceOf(user.name) !== undefined) users.set(user.name, user);
  }
  const otherPermissions = await findOthers(
    users,
    async (visit: (listed: ListedPermissions) => void) => await management.visitPermissions(vhost, visit, { signal }),
    (listed, user) => samePermissions(listed, permissionsOf(agentId, namespaceOf(user) ?? '')),
  );
  const otherLimits = await findOthers(
    users,
    async (visit: (listed: ListedUserLimits) => void) => await management.visitUserLimits(visit, { signal }),
    (listed) => sameLimits(listed?.limits ?? {}, limits),
  );
  const old = findOldConnections(await management.listConnections(vhost, { signal }), openedBeforeMs, namespaceOf);
  return {
    users,
    old,
    seen(account, expected) {
      const user = users.get(account);
      if (user === undefined) return { limits: {} };
      return {
        user,
        permissions: otherPermissions.has(account) ? otherPermissions.get(account) : expected,
        limits: otherLimits.has(account) ? (otherLimits.get(account)?.limits ?? {}) : limits,
      };
    },
  };
}

/** The users for which something else is listed than is expected, or nothing where something is, with what is. */
async function findOthers<T extends { readonly user: string }>(
  users: ReadonlyMap<string, unknown>,
  visitAll: (visit: (listed: T) => void) => Promise<void>,
  isExpected: (listed: T | undefined, user: string) => boolean,
): Promise<ReadonlyMap<string, T | undefined>> {
  const others = new Map<string, T | undefined>();
  const unlisted = new Set(users.keys());
  await visitAll((listed) => {
    if (unlisted.delete(listed.user) && !isExpected(listed, listed.user)) others.set(listed.user, listed);
  });
  for (const user of unlisted) if (!isExpected(undefined, user)) others.set(user, undefined);
  return others;
}
