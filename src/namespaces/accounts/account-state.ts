import type { BrokerUser, UserLimitName, UserLimits } from '../../broker/management/management.ts';
import type { UserPermissions } from '../../broker/user-permissions.ts';

/** What the broker has of an account. */
export interface AccountState extends UserPermissions {
  /** Absent: there is no such user. */
  readonly user?: BrokerUser | undefined;
  readonly limits: UserLimits;
}

export const LIMIT_NAMES: readonly UserLimitName[] = ['max-connections', 'max-channels'];

/** Whether an account has the expected limits, and no others. */
export function sameLimits(actual: UserLimits, expected: UserLimits): boolean {
  return LIMIT_NAMES.every((limit) => actual[limit] === expected[limit]);
}
