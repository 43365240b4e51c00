import type { UserLimits } from '../../broker/management/management.ts';
import type { NamespaceRecord } from '../../store/namespace-record.ts';
import { PERMISSIONS_VERSION } from '../accounts/account-names.ts';
import { hasOnlyStoreTag } from '../../broker/store-tag.ts';
import { hasExpectedPermissions, hasOtherPermissions, type PermissionsByVhost } from '../../broker/user-permissions.ts';
import { type AccountState, sameLimits } from '../accounts/account-state.ts';
import type { Keyring } from '../accounts/keyring.ts';
import type { CheckPassword } from '../accounts/password-check.ts';
import { activeSlot, forSlot, SLOT_NUMBERS, type SlotNumber, slotOf, type SlotPair } from '../slots.ts';
import type { Intervals } from '../timing.ts';

/** What a repair depends on besides the record and the accounts. */
export interface RepairContext {
  /** When the reading of the record began, in ms since the epoch. */
  readonly nowMs: number;
  readonly intervals: Intervals;
  readonly keyring: Pick<Keyring, 'currentSecretId' | 'has'>;
  /** The permissions that the accounts of this namespace should have. */
  readonly permissions: PermissionsByVhost;
  /** The limits that each account should have; a name that is left out: no such limit. */
  readonly limits: UserLimits;
  readonly check: CheckPassword;
  /** Whose tag each account should have, and no other. */
  readonly storeId: string;
}

/** What of an account drifted from the record. */
type Drift = 'account' | 'password' | 'tags' | 'permissions' | 'limits';

/** A fault that can be repaired now: `drift` says what to write. */
export interface RepairableFault {
  readonly slot: SlotNumber;
  readonly kind: 'differs' | 'stray';
  readonly drift: readonly Drift[];
}

/**
 * What is wrong with one account:
 * - `differs`: it is not as recorded;
 * - `stray`: it exists although it was never provisioned in this incarnation, and is not what the next rotation makes
 *   it;
 * - `absent`: it does not exist, and must not be created before the next rotation.
 */
export type AccountFault = RepairableFault | { readonly slot: SlotNumber; readonly kind: 'absent' };

/**
 * Finds the drift of the accounts of an `active` record, as far as it may be repaired now.
 *
 * Generation k is written into its slot only while k is active or promised. A rotation into that slot begins a
 * settlement after that, so that a late write by a repair meets the same password or no client at all.
 */
export function findFaults(
  record: NamespaceRecord,
  accounts: SlotPair<AccountState>,
  context: RepairContext,
): AccountFault[] {
  if (record.state !== 'active') return [];
  return SLOT_NUMBERS.flatMap((slot): AccountFault[] => {
    const account = forSlot(accounts, slot);
    if (isAbsent(record, slot, account, context)) return [{ slot, kind: 'absent' }];
    const isStray = slotOf(record, slot).generation === 0;
    const drift = isStray ? strayDrift(record, slot, account, context) : driftOf(record, slot, account, context);
    return drift.length === 0 ? [] : [{ slot, kind: isStray ? 'stray' : 'differs', drift }];
  });
}

/** Whether the password of an account is handed out, or was and is still promised. */
function isInUse(record: NamespaceRecord, slot: SlotNumber, { nowMs }: Pick<RepairContext, 'nowMs'>): boolean {
  return slot === activeSlot(record) || nowMs < slotOf(record, slot).promisedUntilMs;
}

/** Marked once, after which `permissionsVersion` is 0, and never in a record of a newer agent. */
function isAbsent(record: NamespaceRecord, slot: SlotNumber, { user }: AccountState, context: RepairContext): boolean {
  if (user !== undefined || record.permissionsVersion !== PERMISSIONS_VERSION) return false;
  return slotOf(record, slot).generation > 0 && !isInUse(record, slot, context);
}

function driftOf(record: NamespaceRecord, slot: SlotNumber, account: AccountState, context: RepairContext): Drift[] {
  const { user, limits } = account;
  const recorded = slotOf(record, slot);
  // Tags are written with the password, so they wait for the same moment.
  const mayWrite = isInUse(record, slot, context) && context.keyring.has(recorded.secretId);
  if (user === undefined) return mayWrite ? ['account'] : [];
  const drift: Drift[] = [];
  if (mayWrite && context.check(slot, recorded, user) === false) drift.push('password');
  if (mayWrite && !hasOnlyStoreTag(user.tags, context.storeId)) drift.push('tags');
  // The permissions that a newer agent wrote are not this agent's to repair.
  const isPermissionsKnown = record.permissionsVersion <= PERMISSIONS_VERSION;
  if (isPermissionsKnown && !hasExpectedPermissions(account, context.permissions)) drift.push('permissions');
  if (!sameLimits(limits, context.limits)) drift.push('limits');
  return drift;
}

/**
 * The drift of an account that was never provisioned in this incarnation from what the next rotation makes it. Another
 * user created it, or a late write of the former incarnation did, with a password that a client still has. Or that
 * rotation is under way, and grants the permissions in a moment.
 */
function strayDrift(record: NamespaceRecord, slot: SlotNumber, account: AccountState, context: RepairContext): Drift[] {
  const { user, limits } = account;
  if (user === undefined || !context.keyring.has(record.nextSecretId)) return [];
  const drift: Drift[] = [];
  const next = { generation: record.generation + 1, secretId: record.nextSecretId };
  if (context.check(slot, next, user) === false) drift.push('password');
  if (!hasOnlyStoreTag(user.tags, context.storeId)) drift.push('tags');
  if (drift.length === 0 && !hasOtherPermissions(account, context.permissions)) return [];
  if (!hasExpectedPermissions(account, context.permissions)) drift.push('permissions');
  if (!sameLimits(limits, context.limits)) drift.push('limits');
  return drift;
}
