import type { BrokerUser, Permissions, UserLimitName, UserLimits, VhostPermissions } from '../../broker/management/management.ts';

/** What an account may do, by the name of the vhost. */
export type PermissionsByVhost = Readonly<Record<string, Permissions>>;

/** What the broker has of an account. */
export interface AccountState {
  /** Absent: there is no such user. */
  readonly user?: BrokerUser | undefined;
  readonly permissions: PermissionsByVhost;
  /** The vhosts in which it has permissions by topic. The agent grants none. */
  readonly topicPermissions: readonly string[];
  readonly limits: UserLimits;
}

export const LIMIT_NAMES: readonly UserLimitName[] = ['max-connections', 'max-channels'];

/** Whether an account has the expected permissions, and no others in any vhost. */
export function hasExpectedPermissions(
  { permissions, topicPermissions }: Pick<AccountState, 'permissions' | 'topicPermissions'>,
  expected: PermissionsByVhost,
): boolean {
  const vhosts = Object.keys(expected);
  return (
    topicPermissions.length === 0 &&
    Object.keys(permissions).length === vhosts.length &&
    vhosts.every((vhost) => samePermissions(permissions[vhost], expected[vhost]))
  );
}

/** Whether these are the same permissions in one vhost. */
export function samePermissions(actual: Permissions | undefined, expected: Permissions | undefined): boolean {
  return (
    actual?.configure === expected?.configure && actual?.write === expected?.write && actual?.read === expected?.read
  );
}

/** Whether an account has the expected limits, and no others. */
export function sameLimits(actual: UserLimits, expected: UserLimits): boolean {
  return LIMIT_NAMES.every((limit) => actual[limit] === expected[limit]);
}

/** The permissions of one account by vhost, from a listing. */
export function byVhost(listed: readonly VhostPermissions[]): PermissionsByVhost {
  return Object.fromEntries(listed.map(({ vhost, configure, write, read }) => [vhost, { configure, write, read }]));
}
