import type { ClaimedLimits } from '../../contract/queue-limits-field.ts';
import { WireError } from '../../contract/wire-errors.ts';
import type { NamespaceRecord } from '../../store/namespace-record.ts';
import type { NonceEntry } from '../../store/nonce-records.ts';
import { PERMISSIONS_VERSION } from '../accounts/account-names.ts';
import { describeBlock } from '../deletion/deletion-block.ts';
import { activeSlot, slotOf, withSlot } from '../slots.ts';
import { type Intervals, reclaimAtMs, nameReusableMs } from '../timing.ts';

/** A claim whose signature and scope are right. */
export interface ClaimInput {
  readonly namespace: string;
  /** The earliest instant at which the namespace may expire, in ms since the epoch; undefined: the default. */
  readonly expiresMs: number | undefined;
  /** undefined keeps the stored contact, null clears it. */
  readonly contact: string | null | undefined;
  /** undefined keeps the stored limits, null clears them. */
  readonly queueLimits?: ClaimedLimits | null | undefined;
  /** The Taskcluster clientId. */
  readonly claimedBy: string;
}

/** The nonce of a claim. It is stored before the claim has an effect, or in the same write. */
export interface ClaimNonce {
  /** Whether the store writes a nonce and a record at the same time. Otherwise nothing is gained by waiting for the record. */
  readonly isWrittenWithRecord: boolean;
  /**
   * Stores it, unless it is stored.
   *
   * @throws WireError `ReplayDetected` when another request used it
   */
  remember(): Promise<void>;
  /**
   * Makes a write that stores the nonce as well; `undefined` when it is stored already. False when not both were written: the
   * claim starts over from reading.
   *
   * @throws WireError `ReplayDetected` when another request used it
   */
  writeWith(write: (nonce: NonceEntry | undefined) => Promise<boolean>): Promise<boolean>;
}

/** A claim with the use of its signature. */
export interface SignedClaim extends ClaimInput {
  readonly nonce: ClaimNonce;
}

/** What a claim depends on besides the record. */
export interface ClaimContext {
  readonly nowMs: number;
  /** For what must not be claimed too early: `nowMs`, unless the system clock stepped. */
  readonly earliestMs: number;
  readonly intervals: Intervals;
  /** The secretId for new accounts. */
  readonly secretId: string;
  /** Makes the id of an incarnation: 16 random bytes in base64url. */
  readonly newIncarnation: () => string;
}

/**
 * What to do about a claim:
 * - `begin`: write this record (`insert` when there was none), then provision its account;
 * - `provision`: the account of this record may not work: provision it, then write what `afterProvisioning` returns;
 * - `finish`: finish a revocation, which concerns both accounts, then decide again;
 * - `renew`: write this record; the credentials are those it names.
 */
type ClaimDecision =
  | { readonly action: 'begin'; readonly record: NamespaceRecord }
  | { readonly action: 'provision'; readonly record: NamespaceRecord }
  | { readonly action: 'finish' }
  | { readonly action: 'renew'; readonly record: NamespaceRecord };

/**
 * Decides what a claim does, from the record alone.
 *
 * @throws WireError `RequestConflict` when the namespace is being deleted, was just deleted, or is revoked.
 */
export function decideClaim(
  record: NamespaceRecord | undefined,
  claim: ClaimInput,
  context: ClaimContext,
): ClaimDecision {
  if (record === undefined) return { action: 'begin', record: firstRecord(claim, context, 0, null) };
  refuseWhileRevoked(record, context.earliestMs);
  switch (record.state) {
    case 'expiring':
      throw new WireError('RequestConflict', whyExpiring(record));
    case 'deleted': {
      const reusable = nameReusableMs(record.deletedAtMs ?? context.nowMs, context.intervals);
      if (context.earliestMs < reusable) {
        throw new WireError(
          'RequestConflict',
          `Namespace ${claim.namespace} was deleted a moment ago. Claim it again at ${new Date(reusable).toISOString()}.`,
          { details: { retryAt: new Date(reusable).toISOString() } },
        );
      }
      return { action: 'begin', record: firstRecord(claim, context, record.revision, record.revokedUntilMs) };
    }
    case 'provisioning':
      return record.recheckAtMs === null ? { action: 'provision', record } : { action: 'finish' };
    case 'active':
      return { action: 'renew', record: afterClaim(record, claim, context) };
  }
}

function whyExpiring({ namespace, deletionBlock }: NamespaceRecord): string {
  if (deletionBlock === undefined) {
    return `Namespace ${namespace} is being deleted. Claim it again when that is done, in about a minute.`;
  }
  const advice =
    'node' in deletionBlock
      ? 'Claim it again when the node runs, and ask the operators of this broker when that is.'
      : 'Claim it again after that, or ask the operators of this broker to end the exemption.';
  return `Namespace ${namespace} is being deleted, and that waits: ${describeBlock(deletionBlock)}. ${advice}`;
}

/** The next revision of a record whose active account was just provisioned. */
export function afterProvisioning(record: NamespaceRecord, claim: ClaimInput, context: ClaimContext): NamespaceRecord {
  return { ...afterClaim(record, claim, context), state: 'active', permissionsVersion: PERMISSIONS_VERSION };
}

function firstRecord(
  claim: ClaimInput,
  { nowMs, intervals, secretId, newIncarnation: makeIncarnation }: ClaimContext,
  formerRevision: number,
  revokedUntilMs: number | null,
): NamespaceRecord {
  return {
    namespace: claim.namespace,
    revision: formerRevision + 1,
    state: 'provisioning',
    incarnation: makeIncarnation(),
    generation: 1,
    slots: [
      { generation: 1, secretId, promisedUntilMs: 0 },
      { generation: 0, secretId: '', promisedUntilMs: 0 },
    ],
    nextSecretId: secretId,
    createdMs: nowMs,
    // What the claim asks for is written when its account works: until then it may fail, and must promise nothing.
    expiresMs: Math.min(claim.expiresMs ?? Infinity, nowMs + intervals.defaultLifetimeMs),
    nextRotationMs: nowMs + intervals.rotationMs,
    contact: null,
    claimedBy: claim.claimedBy,
    claimedMs: nowMs,
    revokedUntilMs,
    revokedMs: null,
    permissionsVersion: PERMISSIONS_VERSION,
    deletedAtMs: null,
    deletionReason: null,
    expiryAnnouncedForMs: 0,
    recheckAtMs: null,
  };
}

/** The next revision of a record with what this claim asks for and the `reclaimAt` that it returns. */
function afterClaim(record: NamespaceRecord, claim: ClaimInput, { nowMs, intervals }: ClaimContext): NamespaceRecord {
  // Never earlier: of two replicas that claim one namespace, one would break the promise made to the other.
  const expiresMs = Math.max(record.expiresMs, claim.expiresMs ?? nowMs + intervals.defaultLifetimeMs);
  const reclaimMs = reclaimAtMs({ nextRotationMs: record.nextRotationMs, expiresMs }, nowMs, intervals);
  const active = activeSlot(record);
  const promisedUntilMs = Math.max(slotOf(record, active).promisedUntilMs, reclaimMs);
  const { queueLimits: _former, ...others } = record;
  return {
    ...others,
    revision: record.revision + 1,
    expiresMs,
    contact: claim.contact === undefined ? record.contact : claim.contact,
    ...limitsAfter(record, claim),
    claimedBy: claim.claimedBy,
    claimedMs: Math.max(record.claimedMs ?? 0, nowMs),
    slots: withSlot(record, active, { promisedUntilMs }),
  };
}

/** The limits for queues that a record has after a claim; without any the field is absent. */
function limitsAfter(
  record: NamespaceRecord,
  { queueLimits = record.queueLimits ?? null }: ClaimInput,
): Pick<NamespaceRecord, 'queueLimits'> {
  return queueLimits === null || Object.keys(queueLimits).length === 0 ? {} : { queueLimits };
}

function refuseWhileRevoked(record: NamespaceRecord, nowMs: number): void {
  if (record.revokedUntilMs === null || record.revokedUntilMs <= nowMs) return;
  const until = new Date(record.revokedUntilMs).toISOString();
  throw new WireError(
    'RequestConflict',
    `Namespace ${record.namespace} is revoked until ${until}. Ask the operators of this broker why.`,
    { details: { revokedUntil: until } },
  );
}

/**
 * Checks the field `expires` of a claim.
 *
 * @throws WireError `InputError` when it is in the past or more than `maxLifetimeMs` away.
 */
export function checkExpires(expiresMs: number | undefined, nowMs: number, intervals: Intervals): void {
  if (expiresMs === undefined) return;
  if (expiresMs <= nowMs) {
    throw new WireError(
      'InputError',
      `The field expires must be in the future; it is ${new Date(nowMs).toISOString()} now.`,
      {
        details: { field: 'expires' },
      },
    );
  }
  const latest = nowMs + intervals.maxLifetimeMs;
  if (expiresMs > latest) {
    throw new WireError('InputError', `The field expires must be at most ${new Date(latest).toISOString()}.`, {
      details: { field: 'expires' },
    });
  }
}
