import { WireError } from '../../contract/wire-errors.ts';
import type { NamespaceRecord, Slot } from '../../store/namespace-record.ts';
import { PERMISSIONS_VERSION, slotOfGeneration } from '../accounts/account-names.ts';
import { type Intervals, reclaimAtMs, reusableMs } from '../timing.ts';

/** A claim whose signature and scope are right. */
export interface ClaimInput {
  readonly namespace: string;
  /** When the namespace shall end at the earliest, in ms since the epoch; undefined: the default. */
  readonly expiresMs: number | undefined;
  /** undefined: keep the stored one; null: clear it. */
  readonly contact: string | null | undefined;
  /** The Taskcluster clientId. */
  readonly claimedBy: string;
}

/** What a claim depends on besides the record. */
export interface ClaimContext {
  readonly nowMs: number;
  /** What counts for what must not be claimed too early: `nowMs`, unless the machine's clock was set. */
  readonly earliestMs: number;
  readonly intervals: Intervals;
  /** The id of the agent secret that new accounts are made with. */
  readonly secretId: string;
  /** Makes a incarnation: 16 random bytes in base64url. */
  readonly newIncarnation: () => string;
}

/**
 * What to do about a claim:
 * - `begin`: write this record (`insert` when there was none); then its account has to be made;
 * - `provision`: the record is there, its account may not work: make it (again), then write what `afterProvisioning` returns;
 * - `finish`: a revocation has not been carried out: finish it, which is more than the active account, and decide anew;
 * - `renew`: write this record; the credentials are those it names.
 */
export type ClaimDecision =
  | { readonly action: 'begin'; readonly record: NamespaceRecord }
  | { readonly action: 'provision'; readonly record: NamespaceRecord }
  | { readonly action: 'finish' }
  | { readonly action: 'renew'; readonly record: NamespaceRecord };

/**
 * Decides about a claim from the record alone.
 *
 * @throws WireError `RequestConflict` when the namespace is being deleted, was just deleted, or is revoked.
 */
export function decideClaim(
  record: NamespaceRecord | undefined,
  claim: ClaimInput,
  context: ClaimContext,
): ClaimDecision {
  if (record === undefined) return { action: 'begin', record: newIncarnation(claim, context, 0, null) };
  refuseWhileRevoked(record, context.earliestMs);
  switch (record.state) {
    case 'expiring':
      throw new WireError(
        'RequestConflict',
        `Namespace ${claim.namespace} is being deleted. Claim it again when that is done, in about a minute.`,
      );
    case 'deleted': {
      const reusable = reusableMs(record.deletedAtMs ?? context.nowMs, context.intervals);
      if (context.earliestMs < reusable) {
        throw new WireError(
          'RequestConflict',
          `Namespace ${claim.namespace} was deleted a moment ago. Claim it again at ${new Date(reusable).toISOString()}.`,
          { details: { retryAt: new Date(reusable).toISOString() } },
        );
      }
      return { action: 'begin', record: newIncarnation(claim, context, record.revision, record.revokedUntilMs) };
    }
    case 'provisioning':
      return record.recheckAtMs === null ? { action: 'provision', record } : { action: 'finish' };
    case 'active':
      return { action: 'renew', record: promised(record, claim, context) };
  }
}

/** The record of a namespace whose active account was just made: `active`, with this claim's wishes and promise. */
export function afterProvisioning(record: NamespaceRecord, claim: ClaimInput, context: ClaimContext): NamespaceRecord {
  return { ...promised(record, claim, context), state: 'active', permissionsVersion: PERMISSIONS_VERSION };
}

function newIncarnation(
  claim: ClaimInput,
  { nowMs, intervals, secretId, newIncarnation: makeLife }: ClaimContext,
  formerRevision: number,
  revokedUntilMs: number | null,
): NamespaceRecord {
  return {
    namespace: claim.namespace,
    revision: formerRevision + 1,
    state: 'provisioning',
    incarnation: makeLife(),
    generation: 1,
    slots: [
      { generation: 1, secretId, promisedUntilMs: 0 },
      { generation: 0, secretId: '', promisedUntilMs: 0 },
    ],
    nextSecretId: secretId,
    createdMs: nowMs,
    expiresMs: claim.expiresMs ?? nowMs + intervals.defaultLifetimeMs,
    nextRotationMs: nowMs + intervals.rotationMs,
    contact: claim.contact ?? null,
    claimedBy: claim.claimedBy,
    revokedUntilMs,
    revokedMs: null,
    permissionsVersion: PERMISSIONS_VERSION,
    deletedAtMs: null,
    endReason: null,
    expiryNotifiedForMs: 0,
    recheckAtMs: null,
  };
}

/** The next revision of `record`, with this claim's wishes and the `reclaimAt` that will be handed out for it. */
function promised(record: NamespaceRecord, claim: ClaimInput, { nowMs, intervals }: ClaimContext): NamespaceRecord {
  // Never shorter: of two replicas that claim the same namespace one would break the promise made to the other.
  const expiresMs = Math.max(record.expiresMs, claim.expiresMs ?? nowMs + intervals.defaultLifetimeMs);
  const reclaimMs = reclaimAtMs({ nextRotationMs: record.nextRotationMs, expiresMs }, nowMs, intervals);
  const active = slotOfGeneration(record.generation);
  const promise = (slot: Slot, index: 0 | 1): Slot =>
    index === active - 1 ? { ...slot, promisedUntilMs: Math.max(slot.promisedUntilMs, reclaimMs) } : slot;
  return {
    ...record,
    revision: record.revision + 1,
    expiresMs,
    contact: claim.contact === undefined ? record.contact : claim.contact,
    claimedBy: claim.claimedBy,
    slots: [promise(record.slots[0], 0), promise(record.slots[1], 1)],
  };
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
 * Checks the wished end of a claim.
 *
 * @throws WireError `InputError` when it is past or further away than `maxLifetimeMs`.
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
