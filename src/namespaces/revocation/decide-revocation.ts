import { WireError } from '../../contract/wire-errors.ts';
import type { NamespaceRecord, Slot } from '../../store/namespace-record.ts';
import { activeSlot, slotOfGeneration } from '../accounts/account-names.ts';
import { aftermathMs, clockDifferenceMs, type Intervals } from '../timing.ts';

/** What a revocation is about: fixed when the request is first seen, so that a redelivery revokes nothing later. */
export interface RevocationTarget {
  readonly incarnation: string;
  /** The least generation at which the revocation is done. */
  readonly generation: number;
}

/** What a revocation depends on besides the record. */
export interface RevocationContext {
  /** What counts for what must not come too early: the time, unless the machine's clock was set. */
  readonly latestMs: number;
  /** What counts for what is due, and for what must not seem later than it is: the time, as above. */
  readonly earliestMs: number;
  readonly intervals: Intervals;
  /** The id of the agent secret for the generation that becomes active. */
  readonly secretId: string;
  /** Whether this agent has the secret that a rotation in flight would use. */
  readonly hasNextKey: boolean;
  /** Until when claims are refused, in ms since the epoch; null: they are not. */
  readonly untilMs: number | null;
}

/**
 * What to do about a revocation:
 * - `write`: write this record, then decide anew: its accounts may have to be written;
 * - `finish`: the record is written, its accounts may not be;
 * - `refuse`: write this record: no account works any more, only claims are to be refused;
 * - `done`: nothing.
 */
export type RevocationDecision =
  | { readonly action: 'write'; readonly record: NamespaceRecord }
  | { readonly action: 'refuse'; readonly record: NamespaceRecord }
  | { readonly action: 'finish' }
  | { readonly action: 'done' };

/**
 * The target of a revocation whose request was first seen at an instant, and which nobody has begun. Where another one came
 * after that instant, both are about the same credentials, and the other one has revoked them.
 */
export function revocationTarget(
  { incarnation, generation, revokedMs }: NamespaceRecord,
  { firstSeenMs, nowMs, intervals }: { firstSeenMs: number; nowMs: number; intervals: Intervals },
): RevocationTarget {
  const overtakenFromMs = firstSeenMs + clockDifferenceMs(intervals);
  // An instant yet to come is a wrong clock's. It must not make the revocations of the present do nothing.
  const isOvertaken = revokedMs !== null && revokedMs > overtakenFromMs && revokedMs <= nowMs;
  return { incarnation, generation: isOvertaken ? generation : generation + 2 };
}

/**
 * Decides about a revocation.
 *
 * @throws WireError `RequestConflict` while the namespace is being deleted, and `ResourceNotFound` when it is gone, if
 *   claims are not to be refused: then there is nothing to write.
 */
export function decideRevocation(
  record: NamespaceRecord,
  target: RevocationTarget,
  context: RevocationContext,
): RevocationDecision {
  // Another incarnation has other passwords: what was to be revoked is gone.
  if (record.incarnation !== target.incarnation) return { action: 'done' };
  const { untilMs } = context;
  const isEnded = record.state === 'expiring' || record.state === 'deleted';
  if (record.generation < target.generation) {
    if (!isEnded) return { action: 'write', record: revoked(record, context) };
    if (untilMs === null) throw nothingToRevoke(record);
    return { action: 'refuse', record: counted(record, untilMs, context) };
  }
  // Another revocation of the same credentials came first. The longer ban holds, whoever named it; after later ones this
  // one is a redelivery, and bans nobody again.
  if (record.generation === target.generation && untilMs !== null && untilMs > (record.revokedUntilMs ?? 0)) {
    const next = { ...record, revision: record.revision + 1, revokedUntilMs: untilMs };
    return { action: isEnded ? 'refuse' : 'write', record: next };
  }
  return isEnded || record.recheckAtMs === null ? { action: 'done' } : { action: 'finish' };
}

/**
 * The record after a revocation: two generations on, so that neither account keeps its password. The standby account
 * gets the very generation and key that a rotation in flight would give it: both then write the same password.
 */
function revoked(record: NamespaceRecord, context: RevocationContext): NamespaceRecord {
  const { latestMs, earliestMs, intervals, secretId, hasNextKey, untilMs } = context;
  const generation = record.generation + 2;
  const active: Slot = { generation, secretId, promisedUntilMs: 0 };
  const standby: Slot = {
    generation: generation - 1,
    secretId: hasNextKey ? record.nextSecretId : secretId,
    promisedUntilMs: 0,
  };
  return {
    ...record,
    revision: record.revision + 1,
    state: 'provisioning',
    generation,
    slots: slotOfGeneration(generation) === 1 ? [active, standby] : [standby, active],
    nextSecretId: secretId,
    nextRotationMs: latestMs + intervals.rotationMs,
    revokedUntilMs: untilMs,
    revokedMs: earliestMs,
    recheckAtMs: latestMs + aftermathMs(intervals),
  };
}

/** What the end of a revocation depends on besides the record. */
export type SettlingContext = Pick<RevocationContext, 'latestMs' | 'earliestMs' | 'intervals'>;

/** Whether the accounts of a record are to be compared once more, now or later, because of a revocation. */
export function isUnsettled(record: NamespaceRecord): boolean {
  return (record.state === 'provisioning' || record.state === 'active') && record.recheckAtMs !== null;
}

/** Whether the accounts of a record are to be compared now because of a revocation. */
export function isRecheckDue(record: NamespaceRecord, earliestMs: number): boolean {
  return isUnsettled(record) && (record.recheckAtMs ?? 0) <= earliestMs;
}

/** The next revision of a record whose accounts are about to be put right: they are to be compared once more after that. */
export function withRecheckPostponed(
  record: NamespaceRecord,
  { latestMs, intervals }: Pick<SettlingContext, 'latestMs' | 'intervals'>,
): NamespaceRecord {
  return { ...record, revision: record.revision + 1, recheckAtMs: latestMs + aftermathMs(intervals) };
}

/**
 * The next revision of a record whose accounts were compared with it because of a revocation; undefined: nothing to
 * write yet. The next rotation is counted from then: it goes into the account that was not handed out, and what another
 * comparison of the same revision writes there must not come after it.
 *
 * @param isWritten whether one of them had to be put right.
 */
export function afterSettling(
  record: NamespaceRecord,
  isWritten: boolean,
  { earliestMs, latestMs, intervals }: SettlingContext,
): NamespaceRecord | undefined {
  const next = { ...record, revision: record.revision + 1, nextRotationMs: latestMs + intervals.rotationMs };
  if (record.state === 'provisioning' || isWritten) {
    return { ...next, state: 'active', recheckAtMs: latestMs + aftermathMs(intervals) };
  }
  return isRecheckDue(record, earliestMs) ? { ...next, recheckAtMs: null } : undefined;
}

/**
 * The record of an ended namespace after a revocation. It counts as two generations there, too, although no account has
 * them: that is how a redelivery knows that it, or a later one, was carried out.
 */
function counted(
  record: NamespaceRecord,
  untilMs: number,
  { earliestMs }: Pick<RevocationContext, 'earliestMs'>,
): NamespaceRecord {
  const generation = record.generation + 2;
  const active = activeSlot(record);
  const [first, second] = record.slots;
  return {
    ...record,
    revision: record.revision + 1,
    generation,
    slots: active === 1 ? [{ ...first, generation }, second] : [first, { ...second, generation }],
    revokedUntilMs: untilMs,
    revokedMs: earliestMs,
  };
}

function nothingToRevoke({ namespace, state }: NamespaceRecord): WireError {
  if (state === 'deleted') return new WireError('ResourceNotFound', `There is no namespace ${namespace}.`);
  return new WireError(
    'RequestConflict',
    `Namespace ${namespace} is being deleted, and its credentials with it. Name an instant in the field until to refuse claims after that.`,
  );
}

/**
 * Checks until when claims shall be refused.
 *
 * @throws WireError `InputError` when it is past or further away than a namespace may live.
 */
export function checkUntil(untilMs: number | null, nowMs: number, intervals: Intervals): void {
  if (untilMs === null || (untilMs > nowMs && untilMs <= nowMs + intervals.maxLifetimeMs)) return;
  const latest = new Date(nowMs + intervals.maxLifetimeMs).toISOString();
  throw new WireError('InputError', `The field until must be in the future and at most ${latest}.`, {
    details: { field: 'until' },
  });
}
