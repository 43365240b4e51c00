import type { BrokerUser, Permissions, UserLimitName, UserLimits } from '../../broker/management/management.ts';

/** What the broker has of an account. */
export interface AccountState {
  /** Absent: there is no such user. */
  readonly user?: BrokerUser | undefined;
  /** In the vhost of the accounts; absent: none. */
  readonly permissions?: Permissions | undefined;
  readonly limits: UserLimits;
}

export const LIMIT_NAMES: readonly UserLimitName[] = ['max-connections', 'max-channels'];

/** Whether an account has the expected permissions, and no others. */
export function samePermissions(actual: Permissions | undefined, expected: Permissions): boolean {
  return (
    actual !== undefined &&
    actual.configure === expected.configure &&
    actual.write === expected.write &&
    actual.read === expected.read
  );
}

/** Whether an account has the expected limits, and no others. */
export function sameLimits(actual: UserLimits, expected: UserLimits): boolean {
  return LIMIT_NAMES.every((limit) => actual[limit] === expected[limit]);
}
