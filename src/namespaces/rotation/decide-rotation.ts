import type { NamespaceRecord, Slot } from '../../store/namespace-record.ts';
import { PERMISSIONS_VERSION } from '../accounts/account-names.ts';
import type { Keyring } from '../accounts/keyring.ts';
import { activeSlot, type SlotNumber, slotOf, standbySlot, withSlot } from '../slots.ts';
import { clockDifferenceMs, type Intervals, nextRotationMs, settlementMs } from '../timing.ts';

/** What a rotation depends on besides the record. */
export interface RotationContext {
  readonly nowMs: number;
  readonly intervals: Intervals;
  /** The secrets of the agent that decides. */
  readonly keyring: Pick<Keyring, 'currentSecretId' | 'has'>;
  /** Whether a node of RabbitMQ is missing: down, or cut off and serving clients all the same. */
  readonly isNodeMissing?: boolean;
}

/**
 * Why a namespace is not rotated now:
 * - `state`: it is not active, or a revocation is not finished;
 * - `early`: the rotation is not due;
 * - `node`: a node is missing, whose clients would be refused with the new password;
 * - `promised`: a client may rely on the standby account;
 * - `foreign`: only another agent has the next secret.
 */
type NoRotation = 'state' | 'early' | 'node' | 'promised' | 'foreign';

/**
 * What to do about the rotation of a namespace:
 * - `rotate`: give `slot` the password of the next generation, then write what `afterRotation` returns;
 * - `replace-secret`: write this record, which names a secret of this agent for the next generation; rotate later;
 * - `wait`: nothing.
 */
type RotationDecision =
  | { readonly action: 'rotate'; readonly slot: SlotNumber }
  | { readonly action: 'replace-secret'; readonly record: NamespaceRecord }
  | { readonly action: 'wait'; readonly reason: NoRotation };

/**
 * Decides whether a namespace is rotated, from the record alone.
 *
 * The standby account must not be written before every client that holds its password has been promised another one,
 * and before a late write of its old password can no longer arrive. That holds for a late rotation, too: the latest
 * claim may have been promised much.
 */
export function decideRotation(record: NamespaceRecord, context: RotationContext): RotationDecision {
  const { nowMs, intervals, keyring } = context;
  if (record.state !== 'active' || record.recheckAtMs !== null) return wait('state');
  if (!isDue(record, context)) return wait('early');
  if (context.isNodeMissing === true && !isOverdue(record, context)) return wait('node');
  const slot = standbySlot(record);
  if (nowMs < slotFreeMs(slotOf(record, slot), intervals)) return wait('promised');
  if (keyring.has(record.nextSecretId)) return { action: 'rotate', slot };
  if (nowMs < record.nextRotationMs + intervals.rotationMs / 2) return wait('foreign');
  return { action: 'replace-secret', record: withCurrentSecret(record, context) };
}

/** The next revision of a record whose standby account has the password of the next generation and its permissions. */
export function afterRotation(
  record: NamespaceRecord,
  { nowMs, intervals, keyring }: RotationContext,
  random: () => number,
): NamespaceRecord {
  const generation = record.generation + 1;
  const next: Slot = { generation, secretId: record.nextSecretId, promisedUntilMs: 0 };
  return {
    ...record,
    revision: record.revision + 1,
    generation,
    slots: withSlot(record, activeSlot({ generation }), next),
    nextSecretId: keyring.currentSecretId,
    permissionsVersion: Math.max(record.permissionsVersion, PERMISSIONS_VERSION),
    // Counted from now and not from when it was due: a rotation that is hours late is done once.
    nextRotationMs: nextRotationMs(nowMs, intervals, random),
  };
}

/** When a slot may get another password, in ms since the epoch: no client can rely on its present one any more. */
export function slotFreeMs({ promisedUntilMs }: Slot, intervals: Intervals): number {
  return promisedUntilMs === 0 ? 0 : promisedUntilMs + settlementMs(intervals);
}

function isDue(record: NamespaceRecord, context: RotationContext): boolean {
  return record.nextRotationMs <= context.nowMs || isStranded(record, context);
}

/**
 * A rotation is not urgent: it waits one interval for a missing node, and not for ever for one that is gone for good. A secret
 * that leaked is revoked, which does not wait.
 */
function isOverdue(record: NamespaceRecord, context: RotationContext): boolean {
  return context.nowMs >= record.nextRotationMs + context.intervals.rotationMs || isStranded(record, context);
}

/**
 * This agent cannot hand out the active account, and perhaps no agent can. A rotation lets agents hand out the standby
 * account, and takes nothing from the clients that hold the active one. It keeps away from the last change of the
 * record's generations and secrets, whose late writes may still arrive; and what is nearly due can wait.
 */
function isStranded(record: NamespaceRecord, { nowMs, intervals, keyring }: RotationContext): boolean {
  const active = slotOf(record, activeSlot(record));
  if (keyring.has(active.secretId) || !keyring.has(record.nextSecretId)) return false;
  const settlement = settlementMs(intervals);
  const changedMs = record.nextRotationMs - intervals.rotationMs;
  return nowMs >= changedMs + settlement && nowMs < record.nextRotationMs - settlement - clockDifferenceMs(intervals);
}

/**
 * Half an interval late: no agent has the secret of the next generation any more. An agent that does have it may be
 * about to write a password made with it, so the rotation with another secret waits until that write can have arrived.
 */
function withCurrentSecret(record: NamespaceRecord, { nowMs, intervals, keyring }: RotationContext): NamespaceRecord {
  return {
    ...record,
    revision: record.revision + 1,
    nextSecretId: keyring.currentSecretId,
    nextRotationMs: nowMs + settlementMs(intervals),
  };
}

function wait(reason: NoRotation): RotationDecision {
  return { action: 'wait', reason };
}
