import type { BrokerUser, Permissions, UserLimitName, UserLimits } from '../../broker/management/management.ts';
import type { NamespaceRecord, Slot } from '../../store/namespace-record.ts';
import { PERMISSIONS_VERSION } from '../accounts/account-names.ts';
import { activeSlot, type SlotNumber, slotOfGeneration } from '../slots.ts';
import type { Keyring } from '../accounts/keyring.ts';
import type { Intervals } from '../timing.ts';

/** What the broker has of an account. */
export interface SeenAccount {
  /** Absent: there is no such user. */
  readonly user?: BrokerUser | undefined;
  /** In the vhost of the accounts; absent: none. */
  readonly permissions?: Permissions | undefined;
  readonly limits: UserLimits;
}

/** The two accounts of a namespace. */
export type SeenAccounts = readonly [SeenAccount, SeenAccount];

/** Whether an account has the password of this generation; undefined: this agent has not the secret to tell. */
export type CheckPassword = (
  slot: SlotNumber,
  origin: Pick<Slot, 'generation' | 'secretId'>,
  user: BrokerUser,
) => boolean | undefined;

/** What a repair depends on besides record and accounts. */
export interface RepairContext {
  /** When the reading of the record began, in ms since the epoch. */
  readonly nowMs: number;
  readonly intervals: Intervals;
  readonly keyring: Pick<Keyring, 'currentSecretId' | 'has'>;
  /** What the accounts of this namespace may do. */
  readonly permissions: Permissions;
  /** The limits that each account has; one that is left out is none. */
  readonly limits: UserLimits;
  readonly check: CheckPassword;
}

/** In what an account is not what the record says. */
export type Difference = 'account' | 'password' | 'tags' | 'permissions' | 'limits';

/** What can be put right about one account at once: `differs` says what to write. */
export interface RepairableFault {
  readonly slot: SlotNumber;
  readonly kind: 'differs' | 'stray';
  readonly differs: readonly Difference[];
}

/**
 * What is wrong with one account: `differs`: it is not as recorded; `stray`: it is there although it was never made in
 * this incarnation, and is not what the next rotation makes it (see {@link beforeRotation}); `absent`: it is not there and is
 * not to be made before the next rotation.
 */
export type AccountFault = RepairableFault | { readonly slot: SlotNumber; readonly kind: 'absent' };

/**
 * What to do about the accounts of a namespace:
 * - `restore`: put these accounts right;
 * - `note`: write this record, then decide anew: the next rotation has to give its account permissions, too. It does not
 *   see by itself that it makes one when it, or another agent, has died between the user and the permissions before;
 * - `advance`: write this record: the broker is ahead of it, as after a restored backup of the store;
 * - `none`: nothing.
 */
export type RepairDecision =
  | { readonly action: 'restore'; readonly faults: readonly RepairableFault[] }
  | { readonly action: 'note'; readonly record: NamespaceRecord }
  | { readonly action: 'advance'; readonly record: NamespaceRecord }
  | { readonly action: 'none' };

const SLOTS: readonly SlotNumber[] = [1, 2];
export const LIMIT_NAMES: readonly UserLimitName[] = ['max-connections', 'max-channels'];

/** How many generations beyond those that time explains are tried: revocations count, too. */
const EXTRA_GENERATIONS = 50;
/** More than a namespace has in its longest lifetime by the defaults. */
const MOST_GENERATIONS = 2000;

/**
 * In what the accounts of an `active` record differ from it, as far as this may be put right now.
 *
 * Generation k is written into its slot only while k is active or was promised: a rotation into that slot begins a
 * settling time after that. So a late write meets the same password, or nobody.
 */
export function compareAccounts(record: NamespaceRecord, seen: SeenAccounts, context: RepairContext): AccountFault[] {
  if (record.state !== 'active') return [];
  return SLOTS.flatMap((slot): AccountFault[] => {
    const account = seen[slot - 1] as SeenAccount;
    if (isAbsent(record, slot, account, context)) return [{ slot, kind: 'absent' }];
    const isUnmade = (record.slots[slot - 1] as Slot).generation === 0;
    const differs = isUnmade
      ? strayDifferences(record, slot, account, context)
      : differences(record, slot, account, context);
    return differs.length === 0 ? [] : [{ slot, kind: isUnmade ? 'stray' : 'differs', differs }];
  });
}

/**
 * Decides about the accounts of a namespace.
 *
 * @param random at least 0, less than 1.
 */
export function decideRepair(
  record: NamespaceRecord,
  seen: SeenAccounts,
  context: RepairContext,
  random: () => number,
): RepairDecision {
  const faults = compareAccounts(record, seen, context);
  if (faults.length === 0) return { action: 'none' };
  if (!faults.some(concernsPassword)) return restored(record, faults);
  const later = laterGenerations(record, seen, context);
  const latest = Math.max(...later.map((found) => found?.generation ?? 0));
  if (latest >= record.generation + 2) {
    return { action: 'advance', record: advanced(record, later, latest, context, random) };
  }
  // One ahead is a rotation under way, or one whose agent died: the next rotation writes the same password.
  const left = faults.filter((fault) => !(later[fault.slot - 1] !== undefined && concernsPassword(fault)));
  return left.length === 0 ? { action: 'none' } : restored(record, left);
}

function restored(record: NamespaceRecord, faults: readonly AccountFault[]): RepairDecision {
  const repairable = faults.filter((fault) => fault.kind !== 'absent');
  if (repairable.length === faults.length) return { action: 'restore', faults: repairable };
  return { action: 'note', record: { ...record, revision: record.revision + 1, permissionsVersion: 0 } };
}

function concernsPassword(fault: AccountFault): boolean {
  return fault.kind !== 'absent' && (fault.differs.includes('password') || fault.differs.includes('account'));
}

function differences(
  record: NamespaceRecord,
  slot: SlotNumber,
  { user, permissions, limits }: SeenAccount,
  context: RepairContext,
): Difference[] {
  const kept = record.slots[slot - 1] as Slot;
  // Tags are written with the password, so they wait for the same moment.
  const mayWrite = isInUse(record, slot, context) && context.keyring.has(kept.secretId);
  if (user === undefined) return mayWrite ? ['account'] : [];
  const found: Difference[] = [];
  if (mayWrite && context.check(slot, kept, user) === false) found.push('password');
  if (mayWrite && user.tags.length > 0) found.push('tags');
  // A newer agent knows better.
  const knowsRights = record.permissionsVersion <= PERMISSIONS_VERSION;
  if (knowsRights && !samePermissions(permissions, context.permissions)) found.push('permissions');
  if (!sameLimits(limits, context.limits)) found.push('limits');
  return found;
}

/** Whether the password of an account is handed out, or was and is still promised. */
function isInUse(record: NamespaceRecord, slot: SlotNumber, { nowMs }: Pick<RepairContext, 'nowMs'>): boolean {
  return slot === activeSlot(record) || nowMs < (record.slots[slot - 1] as Slot).promisedUntilMs;
}

/** Noted once; a newer agent knows better. */
function isAbsent(record: NamespaceRecord, slot: SlotNumber, { user }: SeenAccount, context: RepairContext): boolean {
  if (user !== undefined || record.permissionsVersion !== PERMISSIONS_VERSION) return false;
  return (record.slots[slot - 1] as Slot).generation > 0 && !isInUse(record, slot, context);
}

/**
 * In what an account that was never made in this incarnation differs from what the next rotation makes it. Somebody made it by
 * hand, or a late write of the former incarnation did, with a password that somebody still has; or that rotation is under way,
 * which grants its rights in a moment.
 */
function strayDifferences(
  record: NamespaceRecord,
  slot: SlotNumber,
  { user, permissions, limits }: SeenAccount,
  context: RepairContext,
): Difference[] {
  if (user === undefined || !context.keyring.has(record.nextSecretId)) return [];
  const found: Difference[] = [];
  const next = { generation: record.generation + 1, secretId: record.nextSecretId };
  if (context.check(slot, next, user) === false) found.push('password');
  if (user.tags.length > 0) found.push('tags');
  if (found.length === 0) return [];
  if (!samePermissions(permissions, context.permissions)) found.push('permissions');
  if (!sameLimits(limits, context.limits)) found.push('limits');
  return found;
}

/**
 * The record to make an account from that is there and was never made: as the next rotation makes it. However late this
 * write comes, it does no harm: that rotation writes the same password, which nobody is given before. To delete the account
 * could take away what the rotation has just made.
 */
export function beforeRotation(record: NamespaceRecord, slot: SlotNumber): NamespaceRecord {
  const next: Slot = { generation: record.generation + 1, secretId: record.nextSecretId, promisedUntilMs: 0 };
  const [first, second] = record.slots;
  return { ...record, slots: slot === 1 ? [next, second] : [first, next] };
}

/** Whether an account may do what is expected, and no more. */
export function samePermissions(seen: Permissions | undefined, expected: Permissions): boolean {
  return (
    seen !== undefined &&
    seen.configure === expected.configure &&
    seen.write === expected.write &&
    seen.read === expected.read
  );
}

/** Whether an account has the limits that are expected, and no others. */
export function sameLimits(seen: UserLimits, expected: UserLimits): boolean {
  return LIMIT_NAMES.every((limit) => seen[limit] === expected[limit]);
}

type Found = Pick<Slot, 'generation' | 'secretId'> | undefined;

/** Of each account the generation of this incarnation after the record's whose password it has. */
function laterGenerations(record: NamespaceRecord, seen: SeenAccounts, context: RepairContext): readonly Found[] {
  const { nowMs, intervals, keyring: keys, check } = context;
  const rotations = Math.ceil(Math.max(0, nowMs - record.nextRotationMs) / intervals.rotationMs);
  const last = record.generation + Math.min(rotations + EXTRA_GENERATIONS, MOST_GENERATIONS);
  const named = [record.nextSecretId, ...record.slots.map(({ secretId }) => secretId), keys.currentSecretId];
  const secretIds = [...new Set(named)].filter((secretId) => keys.has(secretId));
  return SLOTS.map((slot) => {
    const { user } = seen[slot - 1] as SeenAccount;
    if (user === undefined) return undefined;
    for (let generation = record.generation + 1; generation <= last; generation += 1) {
      if (slotOfGeneration(generation) !== slot) continue;
      const secretId = secretIds.find((id) => check(slot, { generation, secretId: id }, user) === true);
      if (secretId !== undefined) return { generation, secretId };
    }
    return undefined;
  });
}

/**
 * The record brought to the generation that the broker has. What was promised since the backup is not known; these are
 * the latest instants that can have been. The same goes for `expires`: a namespace that went on living is not ended
 * by what an old record says.
 */
function advanced(
  record: NamespaceRecord,
  later: readonly Found[],
  generation: number,
  { nowMs, intervals, keyring: keys }: RepairContext,
  random: () => number,
): NamespaceRecord {
  const active = later.find((found) => found?.generation === generation);
  const secretId = active?.secretId ?? keys.currentSecretId;
  const standbyKeyId = later.find((found) => found?.generation === generation - 1)?.secretId ?? secretId;
  const { rotationMs, defaultLifetimeMs } = intervals;
  const slots: [Slot, Slot] = [
    { generation, secretId, promisedUntilMs: nowMs + 2 * rotationMs },
    { generation: generation - 1, secretId: standbyKeyId, promisedUntilMs: nowMs + rotationMs / 2 },
  ];
  return {
    ...record,
    revision: record.revision + 1,
    generation,
    slots: slotOfGeneration(generation) === 1 ? slots : [slots[1], slots[0]],
    nextSecretId: keys.currentSecretId,
    nextRotationMs: nowMs + rotationMs * (1 + MOST_JITTER * random()),
    expiresMs: Math.max(record.expiresMs, nowMs + defaultLifetimeMs),
  };
}

/** As after a rotation. */
const MOST_JITTER = 0.1;
