import type { NamespaceRecord, Slot } from '../../store/namespace-record.ts';
import { activeSlot, PERMISSIONS_VERSION, type SlotNumber } from '../accounts/account-names.ts';
import type { Keyring } from '../accounts/keyring.ts';
import { clockDifferenceMs, type Intervals, settleMs } from '../timing.ts';

/** What a rotation depends on besides the record. */
export interface RotationContext {
  readonly nowMs: number;
  readonly intervals: Intervals;
  /** The secrets of the agent that decides. */
  readonly keys: Pick<Keyring, 'currentSecretId' | 'has'>;
}

/**
 * Why a namespace is not rotated now: `state`: it is not active, or a revocation is not finished; `foreign`: its next secret
 * is another agent's.
 */
export type NoRotation = 'state' | 'early' | 'promised' | 'foreign';

/**
 * What to do about the rotation of a namespace:
 * - `rotate`: give `slot` the password of the next generation, then write what `afterRotation` returns;
 * - `rename`: write this record, which names a secret that somebody has for the next generation; rotate later;
 * - `wait`: nothing.
 */
export type RotationDecision =
  | { readonly action: 'rotate'; readonly slot: SlotNumber }
  | { readonly action: 'rename'; readonly record: NamespaceRecord }
  | { readonly action: 'wait'; readonly reason: NoRotation };

/** At most so much of the interval is added to it, so that what was claimed at once is not rotated at once for ever. */
const MOST_JITTER = 0.1;

/**
 * Decides whether a namespace is rotated, from the record alone.
 *
 * The standby account must not be written before everybody who holds its password has been promised another, and a late
 * write of its old password can no longer arrive. That also holds for a rotation that is late: whoever claimed last may
 * have been promised much.
 */
export function decideRotation(record: NamespaceRecord, context: RotationContext): RotationDecision {
  const { nowMs, intervals, keys } = context;
  if (record.state !== 'active' || record.recheckAtMs !== null) return wait('state');
  if (!isDue(record, context)) return wait('early');
  const slot = activeSlot(record) === 1 ? 2 : 1;
  if (nowMs < writableMs(record.slots[slot - 1] as Slot, intervals)) return wait('promised');
  if (keys.has(record.nextSecretId)) return { action: 'rotate', slot };
  if (nowMs < record.nextRotationMs + intervals.rotationMs / 2) return wait('foreign');
  return { action: 'rename', record: renamed(record, context) };
}

/** The next revision of a record whose standby account was just given the password of the next generation, and its permissions. */
export function afterRotation(
  record: NamespaceRecord,
  { nowMs, intervals, keys }: RotationContext,
  random: () => number,
): NamespaceRecord {
  const generation = record.generation + 1;
  const next: Slot = { generation, secretId: record.nextSecretId, promisedUntilMs: 0 };
  const [first, second] = record.slots;
  return {
    ...record,
    revision: record.revision + 1,
    generation,
    slots: activeSlot({ generation }) === 1 ? [next, second] : [first, next],
    nextSecretId: keys.currentSecretId,
    permissionsVersion: Math.max(record.permissionsVersion, PERMISSIONS_VERSION),
    // Counted from now and not from when it was due: a rotation that is late by hours is made up for once.
    nextRotationMs: nowMs + intervals.rotationMs * (1 + MOST_JITTER * random()),
  };
}

/** When an account may be given another password, in ms since the epoch. */
export function writableMs({ promisedUntilMs }: Slot, intervals: Intervals): number {
  return promisedUntilMs === 0 ? 0 : promisedUntilMs + settleMs(intervals);
}

function isDue(record: NamespaceRecord, { nowMs, intervals, keys }: RotationContext): boolean {
  if (record.nextRotationMs <= nowMs) return true;
  const active = record.slots[activeSlot(record) - 1] as Slot;
  if (keys.has(active.secretId) || !keys.has(record.nextSecretId)) return false;
  // This agent cannot hand out the active account, and perhaps nobody can. The standby account can be handed out as soon
  // as it is rotated, which takes nothing from whoever holds the active one. Away from the last change of the record's
  // generations and keys, whose late writes may still be under way; what is nearly due can wait.
  const settle = settleMs(intervals);
  const changedMs = record.nextRotationMs - intervals.rotationMs;
  return nowMs >= changedMs + settle && nowMs < record.nextRotationMs - settle - clockDifferenceMs(intervals);
}

/**
 * Half an interval late: nobody has the secret of the next generation any more. An agent that has it all the same may be
 * about to write a password made with it, so the rotation with another one comes after that can have arrived.
 */
function renamed(record: NamespaceRecord, { nowMs, intervals, keys }: RotationContext): NamespaceRecord {
  return {
    ...record,
    revision: record.revision + 1,
    nextSecretId: keys.currentSecretId,
    nextRotationMs: nowMs + settleMs(intervals),
  };
}

function wait(reason: NoRotation): RotationDecision {
  return { action: 'wait', reason };
}
