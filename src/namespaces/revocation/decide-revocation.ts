import { WireError } from '../../contract/wire-errors.ts';
import type { NamespaceRecord, Slot } from '../../store/namespace-record.ts';
import { activeSlot, slotsAt, withSlot } from '../slots.ts';
import { clockDifferenceMs, credentialSettlementMs, type Intervals } from '../timing.ts';

/** What a revocation is about: fixed when the request is first seen, so that a redelivery revokes nothing later. */
export interface RevocationTarget {
  readonly incarnation: string;
  /** The least generation at which the revocation is done. */
  readonly generation: number;
}

/** What a revocation depends on besides the record. */
export interface RevocationContext {
  /** For what must not come too early: the present, unless the system clock stepped. */
  readonly latestMs: number;
  /** For what is due, and for what must not seem later than it is: the present, unless the system clock stepped. */
  readonly earliestMs: number;
  readonly intervals: Intervals;
  /** The secretId for the generation that becomes active. */
  readonly secretId: string;
  /** Whether this agent has the secret that a rotation in flight would use. */
  readonly hasNextSecret: boolean;
  /** Until when claims are refused, in ms since the epoch; null: they are not. */
  readonly untilMs: number | null;
}

/**
 * What to do about a revocation:
 * - `write`: write this record, then decide again: its accounts may have to be written;
 * - `finish`: the record is written, its accounts may not be;
 * - `refuse`: write this record: no account works any more, and claims are to be refused;
 * - `done`: nothing.
 */
type RevocationDecision =
  | { readonly action: 'write'; readonly record: NamespaceRecord }
  | { readonly action: 'refuse'; readonly record: NamespaceRecord }
  | { readonly action: 'finish' }
  | { readonly action: 'done' };

/**
 * The target of a revocation whose request was first seen at an instant, and which no agent has begun. If another one
 * came after that instant, both are about the same credentials, and the other one has revoked them.
 */
export function revocationTarget(
  { incarnation, generation, revokedMs }: NamespaceRecord,
  { firstSeenMs, nowMs, intervals }: { firstSeenMs: number; nowMs: number; intervals: Intervals },
): RevocationTarget {
  const overtakenFromMs = firstSeenMs + clockDifferenceMs(intervals);
  // A future instant comes from a wrong clock. It must not make the revocations of the present do nothing.
  const isOvertaken = revokedMs !== null && revokedMs > overtakenFromMs && revokedMs <= nowMs;
  return { incarnation, generation: isOvertaken ? generation : generation + 2 };
}

/**
 * Decides what a revocation does, from the record alone.
 *
 * @throws WireError `RequestConflict` while the namespace is being deleted, and `ResourceNotFound` when it is deleted,
 *   if claims are not to be refused: then there is nothing to write.
 */
export function decideRevocation(
  record: NamespaceRecord,
  target: RevocationTarget,
  context: RevocationContext,
): RevocationDecision {
  // Another incarnation has other passwords: what was to be revoked is deleted.
  if (record.incarnation !== target.incarnation) return { action: 'done' };
  const { untilMs } = context;
  const hasNoAccounts = record.state === 'expiring' || record.state === 'deleted';
  if (record.generation < target.generation) {
    if (!hasNoAccounts) return { action: 'write', record: afterRevocation(record, context) };
    if (untilMs === null) throw nothingToRevoke(record);
    return { action: 'refuse', record: afterRevocationWithoutAccounts(record, untilMs, context) };
  }
  // Another revocation of the same credentials came first, and the later `until` of both holds. After still later
  // revocations this one is a redelivery and refuses no claim again.
  if (record.generation === target.generation && untilMs !== null && untilMs > (record.revokedUntilMs ?? 0)) {
    const next = { ...record, revision: record.revision + 1, revokedUntilMs: untilMs };
    return { action: hasNoAccounts ? 'refuse' : 'write', record: next };
  }
  return hasNoAccounts || record.recheckAtMs === null ? { action: 'done' } : { action: 'finish' };
}

/**
 * The record after a revocation: two generations later, so that neither account keeps its password. The standby account
 * gets the very generation and secret that a rotation in flight would give it: both then write the same password.
 */
function afterRevocation(record: NamespaceRecord, context: RevocationContext): NamespaceRecord {
  const { latestMs, earliestMs, intervals, secretId, hasNextSecret, untilMs } = context;
  const generation = record.generation + 2;
  const active: Slot = { generation, secretId, promisedUntilMs: 0 };
  const standby: Slot = {
    generation: generation - 1,
    secretId: hasNextSecret ? record.nextSecretId : secretId,
    promisedUntilMs: 0,
  };
  return {
    ...record,
    revision: record.revision + 1,
    state: 'provisioning',
    generation,
    slots: slotsAt(generation, { active, standby }),
    nextSecretId: secretId,
    nextRotationMs: latestMs + intervals.rotationMs,
    revokedUntilMs: untilMs,
    revokedMs: earliestMs,
    recheckAtMs: latestMs + credentialSettlementMs(intervals),
  };
}

/**
 * The record of a namespace without accounts after a revocation. It counts as two generations there, too, although no
 * account has them: that is how a redelivery knows that it, or a later one, was carried out.
 */
function afterRevocationWithoutAccounts(
  record: NamespaceRecord,
  untilMs: number,
  { earliestMs }: Pick<RevocationContext, 'earliestMs'>,
): NamespaceRecord {
  const generation = record.generation + 2;
  return {
    ...record,
    revision: record.revision + 1,
    generation,
    slots: withSlot(record, activeSlot(record), { generation }),
    revokedUntilMs: untilMs,
    revokedMs: earliestMs,
  };
}

/** What the settlement of a revocation depends on besides the record. */
type SettlementContext = Pick<RevocationContext, 'latestMs' | 'earliestMs' | 'intervals'>;

/** Whether the accounts of a record have to be checked again, now or later, because of a revocation. */
export function needsRecheck(record: NamespaceRecord): boolean {
  return (record.state === 'provisioning' || record.state === 'active') && record.recheckAtMs !== null;
}

/** Whether the accounts of a record have to be checked now because of a revocation. */
export function isRecheckDue(record: NamespaceRecord, earliestMs: number): boolean {
  return needsRecheck(record) && (record.recheckAtMs ?? 0) <= earliestMs;
}

/** The next revision of a record whose accounts are about to be written: they have to be checked again after that. */
export function withRecheckPostponed(
  record: NamespaceRecord,
  { latestMs, intervals }: Pick<SettlementContext, 'latestMs' | 'intervals'>,
): NamespaceRecord {
  return { ...record, revision: record.revision + 1, recheckAtMs: latestMs + credentialSettlementMs(intervals) };
}

/**
 * The next revision of a record whose accounts were checked because of a revocation; undefined: nothing to write yet.
 * The next rotation is counted from then. It goes into the account that was not handed out, and a late write by another
 * check of the same revision must not come after it.
 *
 * @param isWritten whether an account was wrong and was written.
 */
export function afterSettlement(
  record: NamespaceRecord,
  isWritten: boolean,
  { earliestMs, latestMs, intervals }: SettlementContext,
): NamespaceRecord | undefined {
  const next = { ...record, revision: record.revision + 1, nextRotationMs: latestMs + intervals.rotationMs };
  if (record.state === 'provisioning' || isWritten) {
    return { ...next, state: 'active', recheckAtMs: latestMs + credentialSettlementMs(intervals) };
  }
  return isRecheckDue(record, earliestMs) ? { ...next, recheckAtMs: null } : undefined;
}

function nothingToRevoke({ namespace, state }: NamespaceRecord): WireError {
  if (state === 'deleted') return new WireError('ResourceNotFound', `There is no namespace ${namespace}.`);
  return new WireError(
    'RequestConflict',
    `Namespace ${namespace} is being deleted, and its credentials with it. Name an instant in the field until to refuse claims after that.`,
  );
}

/**
 * Checks the field `until` of a revocation.
 *
 * @throws WireError `InputError` when it is in the past or more than `maxLifetimeMs` away.
 */
export function checkRevokedUntil(untilMs: number | null, nowMs: number, intervals: Intervals): void {
  if (untilMs === null || (untilMs > nowMs && untilMs <= nowMs + intervals.maxLifetimeMs)) return;
  const latest = new Date(nowMs + intervals.maxLifetimeMs).toISOString();
  throw new WireError('InputError', `The field until must be in the future and at most ${latest}.`, {
    details: { field: 'until' },
  });
}
