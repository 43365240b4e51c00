import type { NamespaceRecord } from '../../store/namespace-record.ts';
import { WireError } from '../../contract/wire-errors.ts';
import { isAgentError } from '../../util/agent-errors.ts';
import { type Moment, momentOf } from '../../util/clock.ts';
import { matchesAny } from '../../util/name-pattern.ts';
import { type Attempt, compareAndSet, CONFLICT } from '../../util/compare-and-set.ts';
import type { ConnectionStrings } from '../accounts/account-names.ts';
import type { Leftovers } from '../deletion/delete-leftovers.ts';
import type { NamespaceContext } from '../namespace-context.ts';
import type { Revoker } from '../revocation/revoke.ts';
import { activeSlot, slotOf } from '../slots.ts';
import { SecretMissing } from '../accounts/keyring.ts';
import type { SecretSightings } from '../accounts/secret-sightings.ts';
import { fenceMs } from '../timing.ts';
import { openWindow } from '../write-window.ts';
import { changesQueueLimits, checkQueueLimits } from './check-queue-limits.ts';
import type { CheckFirstClaim } from './check-first-claim.ts';
import type { LimitFirstClaims } from './limit-first-claims.ts';
import {
  afterProvisioning,
  checkExpires,
  type ClaimContext,
  type ClaimInput,
  type ClaimNonce,
  decideClaim,
  type SignedClaim,
} from './decide-claim.ts';

/** The result of a claim. */
export interface ClaimResult extends ConnectionStrings {
  /** The record as the last write left it. */
  readonly record: NamespaceRecord;
  /** Until then the credentials open connections, in ms since the epoch. It is stored as `promisedUntilMs`. */
  readonly reclaimAtMs: number;
  /** Whether these are the first credentials of the incarnation. */
  readonly isNew: boolean;
  /** Whether another client made the previous claim; true for the first one. */
  readonly isNewHolder: boolean;
  /** Whether this claim changed or cleared the contact of an existing namespace. */
  readonly isNewContact: boolean;
  /** Whether this claim changed or cleared the limits for the queues of an existing namespace. */
  readonly hasNewLimits: boolean;
}

/** A claim that was written. */
type WrittenClaim = Omit<ClaimResult, 'reclaimAtMs'>;

const INCARNATION_BYTES = 16;

/**
 * Serves a claim.
 *
 * A first claim takes over nothing that is there: that is checked before anything is written.
 *
 * Record first, then the account, then `active`, then the answer, made from the record that the last write left: no
 * credentials leave before the account works and `reclaimAt` is stored. A re-claim makes no call to the broker, so that
 * it works while the management API is down.
 *
 * A claim that fails promises nothing: what an answer needs is there before `expires`, `reclaimAt` or contact are written.
 * Only where the last write itself gets no answer may it have taken effect.
 *
 * @throws WireError `InputError` or `RequestConflict`; AgentError when the store or the broker is unavailable. The
 *   claim may be repeated after any of them.
 */
export type ClaimNamespace = (claim: SignedClaim, signal: AbortSignal) => Promise<ClaimResult>;

/** Creates the claim of an installation. */
export function createClaim(
  context: Pick<
    NamespaceContext,
    'config' | 'store' | 'accounts' | 'cluster' | 'clock' | 'bounds' | 'randomBytes' | 'intervals' | 'keyring'
  >,
  parts: {
    readonly revoker: Pick<Revoker, 'finish'>;
    readonly leftovers: Pick<Leftovers, 'deleteIfAccountExists'>;
    readonly checkFirstClaim: CheckFirstClaim;
    readonly limitFirstClaims: LimitFirstClaims;
    readonly secrets: Pick<SecretSightings, 'recordMissing'>;
  },
): ClaimNamespace {
  const { config, store, accounts, cluster, clock, bounds, randomBytes, intervals, keyring } = context;
  const { revoker, leftovers, checkFirstClaim, limitFirstClaims, secrets } = parts;
  const fence = fenceMs(intervals);

  const contextNow = (): ClaimContext => ({
    nowMs: clock.nowMs(),
    earliestMs: bounds.earliestMs(),
    intervals,
    secretId: keyring.currentSecretId,
    newIncarnation: () => randomBytes(INCARNATION_BYTES).toString('base64url'),
  });

  /** An agent that has the secret, or a rotation, may serve the next attempt; after a long time neither will. */
  const explainMissing = async (missing: SecretMissing, namespace: string): Promise<Error> => {
    const sinceMs = await secrets.recordMissing(missing.secretId).catch(() => undefined);
    return sinceMs === undefined ? missing : secretLost(namespace, missing, sinceMs);
  };

  /** Writes the first record of an incarnation. */
  const begin = async (
    stored: NamespaceRecord | undefined,
    record: NamespaceRecord,
    nonce: ClaimNonce,
    signal: AbortSignal,
  ): Promise<boolean> => {
    if (stored === undefined) {
      return await nonce.writeWith((entry) => store.insert(record, entry && { entry, isOrderFree: false }));
    }
    // The next attempt finds the namespace `expiring`, or just deleted.
    if (await leftovers.deleteIfAccountExists(stored, signal)) return false;
    return await store.replace(record, stored.revision);
  };

  /** Creates the active account and writes `active`. */
  const provision = async (
    record: NamespaceRecord,
    readAt: Moment,
    claim: ClaimInput,
    signal: AbortSignal,
  ): Promise<Attempt<NamespaceRecord>> => {
    try {
      const since = await cluster.permit(signal);
      await accounts.provision(record, activeSlot(record), openWindow(clock, readAt, fence), signal);
      if (!(await cluster.confirm(since, signal))) return CONFLICT;
    } catch (error) {
      if (isAgentError(error, 'WindowClosed')) return CONFLICT;
      throw error;
    }
    signal.throwIfAborted();
    const active = afterProvisioning(record, claim, contextNow());
    return (await store.replace(active, record.revision)) ? active : CONFLICT;
  };

  const attempt = async (claim: SignedClaim, signal: AbortSignal): Promise<Attempt<WrittenClaim>> => {
    const readAt = momentOf(clock);
    const stored = await store.get(claim.namespace);
    const decision = decideClaim(stored, claim, contextNow());
    checkQueueLimits(claim, stored, config);
    // Before anything is written: without the secret there is no answer.
    const strings =
      decision.action === 'finish'
        ? undefined
        : accounts.connectionStrings(decision.record, activeSlot(decision.record));
    const { nonce } = claim;
    // These begin with other effects than one write.
    const isOneWrite = decision.action === 'renew' || (decision.action === 'begin' && stored === undefined);
    if (!isOneWrite) await nonce.remember();
    if (decision.action === 'finish' || strings === undefined) {
      await revoker.finish(claim.namespace, signal);
      return CONFLICT;
    }
    // A claim that finds an unfinished incarnation hands out its first credentials all the same.
    const isNew = decision.action !== 'renew' && decision.record.generation === 1;
    const isNewHolder = isNew || stored?.claimedBy !== claim.claimedBy;
    const isNewContact = !isNew && stored?.contact !== decision.record.contact;
    const hasNewLimits = !isNew && changesQueueLimits(stored, decision.record);
    const changes = { isNew, isNewHolder, isNewContact, hasNewLimits, ...strings };
    if (decision.action === 'renew') {
      // The client has its error already if the record was read too slowly.
      signal.throwIfAborted();
      // A renewal by the same client only makes times later, so it does no harm if the nonce turns out to be used.
      const isOrderFree = !isNewHolder && !isNewContact && !hasNewLimits;
      const isWritten = await nonce.writeWith((entry) =>
        store.replace(decision.record, decision.record.revision - 1, entry && { entry, isOrderFree }),
      );
      return isWritten ? { record: decision.record, ...changes } : CONFLICT;
    }
    // Before anything is written: an account on one side of a split is none for the clients of the other.
    await cluster.permit(signal);
    if (decision.action === 'begin') {
      const check = checkFirstClaim(claim, stored, signal);
      // The check only reads, so both take no longer than the longer one.
      await (nonce.isWrittenWithRecord ? check : Promise.all([check, nonce.remember()]));
      const isBegun = await limitFirstClaims(claim.claimedBy, () => begin(stored, decision.record, nonce, signal));
      if (!isBegun) return CONFLICT;
    }
    const record = await provision(decision.record, readAt, claim, signal);
    return record === CONFLICT ? CONFLICT : { record, ...changes };
  };

  return async (claim, signal) => {
    if (matchesAny(config.reservedNamespaces, claim.namespace)) {
      throw new WireError('InputError', `The namespace ${claim.namespace} is reserved and cannot be claimed.`, {
        details: { field: 'namespace' },
      });
    }
    checkExpires(claim.expiresMs, clock.nowMs(), intervals);
    const written = await compareAndSet(`namespace ${claim.namespace}`, signal, () => attempt(claim, signal)).catch(
      async (error: unknown) => {
        throw error instanceof SecretMissing ? await explainMissing(error, claim.namespace) : error;
      },
    );
    const { record } = written;
    return { ...written, reclaimAtMs: slotOf(record, activeSlot(record)).promisedUntilMs };
  };
}

function secretLost(namespace: string, cause: SecretMissing, sinceMs: number): WireError {
  const { secretId } = cause;
  const missingSince = new Date(sinceMs).toISOString();
  return new WireError(
    'RequestConflict',
    `No agent has had the secret ${secretId} since ${missingSince}, from which the credentials of ${namespace} are derived. Ask the operators of this broker to give the secret back to the agents, or to revoke ${namespace} ("pulse-agent revoke --direct ${namespace}"): it can be claimed again after that.`,
    { retryable: false, details: { secretId, missingSince }, cause },
  );
}
