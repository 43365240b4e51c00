import type { RandomBytes } from '../util/clock.ts';
import { contractNames } from '../contract/names.ts';
import type { Secret } from '../util/secret.ts';
import { HASHING_ALGORITHM } from './management/management.ts';
import type { ManagementCallOptions, Management, UserLimits } from './management/management.ts';
import { hashMatches, hashPassword } from './password-hash.ts';
import { requesterPermissions } from './request-vhost.ts';
import { hasOnlyStoreTag, storeTag } from './store-tag.ts';
import { ensurePermissions, type PermissionCalls } from './user-permissions.ts';

/** The claimant as configured. */
interface ClaimantSettings {
  /** The agent's id. */
  readonly id: string;
  readonly requestVhost: string;
  readonly storeId: string;
  readonly password: Secret;
  readonly maxConnections: number;
  readonly maxChannels: number;
}

/** The calls that {@link ensureClaimant} makes. */
type ClaimantManagement = Pick<Management, 'getUser' | 'putUser' | 'getUserLimits' | 'putUserLimit' | PermissionCalls>;

type ClaimantRepair = 'account' | 'permissions' | 'max-connections' | 'max-channels';

/**
 * Ensures the claimant: the shared user with which a client sends its first claim. It makes no write where it is as
 * configured.
 *
 * Its password is public, so only limits and permissions restrict its users; the limits are written before the permissions.
 *
 * @returns what it wrote
 * @throws AgentError `BrokerUnavailable`, `BrokerRefused`
 */
export async function ensureClaimant(
  management: ClaimantManagement,
  settings: ClaimantSettings,
  randomBytes: RandomBytes,
  options?: ManagementCallOptions,
): Promise<ClaimantRepair[]> {
  const name = contractNames(settings.id).claimantUser;
  const [user, limits] = await Promise.all([
    management.getUser(name, options),
    management.getUserLimits(name, options),
  ]);
  const written: ClaimantRepair[] = [];

  const isAccountRight =
    user !== undefined &&
    user.hashingAlgorithm === HASHING_ALGORITHM &&
    hasOnlyStoreTag(user.tags, settings.storeId) &&
    hashMatches(user.passwordHash, settings.password);
  if (!isAccountRight) {
    const passwordHash = hashPassword(settings.password, randomBytes(4));
    const tags = [storeTag(settings.storeId)];
    await management.putUser(name, { passwordHash, hashingAlgorithm: HASHING_ALGORITHM, tags }, options);
    written.push('account');
  }

  const wantedLimits = { 'max-connections': settings.maxConnections, 'max-channels': settings.maxChannels } as const;
  // The limits of a user are deleted with it, and may have been read before that.
  const presentLimits: UserLimits = user === undefined ? {} : limits;
  for (const limit of ['max-connections', 'max-channels'] as const) {
    if (presentLimits[limit] === wantedLimits[limit]) continue;
    await management.putUserLimit(name, limit, wantedLimits[limit], options);
    written.push(limit);
  }

  const expected = { [settings.requestVhost]: requesterPermissions(settings.id) };
  if (await ensurePermissions(management, name, expected, options)) written.push('permissions');
  return written;
}
