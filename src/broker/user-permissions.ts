import type { Management, ManagementCallOptions, Permissions } from './management/management.ts';

/** What a user may do, by the name of the vhost. */
export type PermissionsByVhost = Readonly<Record<string, Permissions>>;

/** All permissions of a user. */
export interface UserPermissions {
  readonly permissions: PermissionsByVhost;
  /** The vhosts in which it has permissions by topic. The agent grants none. */
  readonly topicPermissions: readonly string[];
}

/** The calls that {@link ensurePermissions} makes. */
export type PermissionCalls =
  | 'listUserPermissions'
  | 'listUserTopicPermissions'
  | 'putPermissions'
  | 'deletePermissions'
  | 'deleteTopicPermissions';

/** Whether these are the same permissions in one vhost. */
export function samePermissions(actual: Permissions | undefined, expected: Permissions | undefined): boolean {
  return (
    actual?.configure === expected?.configure && actual?.write === expected?.write && actual?.read === expected?.read
  );
}

/** Whether a user has the expected permissions, and no others in any vhost. */
export function hasExpectedPermissions(
  { permissions, topicPermissions }: UserPermissions,
  expected: PermissionsByVhost,
): boolean {
  const vhosts = Object.keys(expected);
  return (
    topicPermissions.length === 0 &&
    Object.keys(permissions).length === vhosts.length &&
    vhosts.every((vhost) => samePermissions(permissions[vhost], expected[vhost]))
  );
}

/** Whether a user has permissions that no write of the agent grants: in other vhosts, or by topic. */
export function hasOtherPermissions(
  { permissions, topicPermissions }: UserPermissions,
  expected: PermissionsByVhost,
): boolean {
  return topicPermissions.length > 0 || Object.keys(permissions).some((vhost) => !(vhost in expected));
}

/** Reads the permissions of a user in every vhost; none when there is no such user. */
export async function readPermissions(
  management: Pick<Management, 'listUserPermissions' | 'listUserTopicPermissions'>,
  user: string,
  options?: ManagementCallOptions,
): Promise<UserPermissions> {
  const [listed, topicPermissions] = await Promise.all([
    management.listUserPermissions(user, options),
    management.listUserTopicPermissions(user, options),
  ]);
  const byVhost = listed.map(({ vhost, configure, write, read }) => [vhost, { configure, write, read }]);
  return { permissions: Object.fromEntries(byVhost), topicPermissions };
}

/** Grants the expected permissions, and withdraws all others that were found. */
export async function writePermissions(
  management: Pick<Management, 'putPermissions' | 'deletePermissions' | 'deleteTopicPermissions'>,
  user: string,
  found: UserPermissions,
  expected: PermissionsByVhost,
  options?: ManagementCallOptions,
): Promise<void> {
  for (const [vhost, permissions] of Object.entries(expected)) {
    if (samePermissions(found.permissions[vhost], permissions)) continue;
    await management.putPermissions(vhost, user, permissions, options);
  }
  for (const vhost of Object.keys(found.permissions)) {
    if (!(vhost in expected)) await management.deletePermissions(vhost, user, options);
  }
  for (const vhost of found.topicPermissions) await management.deleteTopicPermissions(vhost, user, options);
}

/**
 * Gives a user the expected permissions, and no others in any vhost.
 *
 * @returns whether it wrote anything
 */
export async function ensurePermissions(
  management: Pick<Management, PermissionCalls>,
  user: string,
  expected: PermissionsByVhost,
  options?: ManagementCallOptions,
): Promise<boolean> {
  const found = await readPermissions(management, user, options);
  if (hasExpectedPermissions(found, expected)) return false;
  await writePermissions(management, user, found, expected, options);
  return true;
}
