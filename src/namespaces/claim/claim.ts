import { type Moment, momentOf } from '../../util/clock.ts';
import { AgentError, isAgentError } from '../../util/agent-errors.ts';
import type { NamespaceRecord } from '../../store/namespace-record.ts';
import { activeSlot } from '../accounts/account-names.ts';
import type { Leftovers } from '../deletion/delete-leftovers.ts';
import { checkExpires, type ClaimInput, type ClaimContext, afterProvisioning, decideClaim } from './decide-claim.ts';
import type { NamespaceContext } from '../namespace-context.ts';
import type { Revoker } from '../revocation/revoke.ts';
import { fenceMs } from '../timing.ts';
import { openWindow } from '../write-window.ts';

/** What a claim gives. */
export interface ClaimResult {
  /** The record as the last write left it. */
  readonly record: NamespaceRecord;
  /** What the stored promise says: the credentials work at least until then, in ms since the epoch. */
  readonly reclaimAtMs: number;
  /** Secret. */
  readonly connectionString: string;
  /** Whether these are the first credentials of the namespace's incarnation. */
  readonly isNew: boolean;
  /** Whether the claim before this one was another client's; true for the first one. */
  readonly isNewHolder: boolean;
  /** Whether this claim gave a namespace that was there already another contact, or took it away. */
  readonly isNewContact: boolean;
}

const LIFE_BYTES = 16;

/**
 * Each try that fails means that somebody else wrote in between, so that with n others at work n tries are enough; the
 * request's deadline ends it otherwise.
 */
const MOST_TRIES = 100;

/**
 * Serves a claim.
 *
 * Record first, then the account, then `active`, then the answer, made from the record that the last write left: no
 * credentials leave before the account works and the promise of `reclaimAt` is stored. A re-claim makes no call to the
 * broker, so that it works while the management API is down.
 *
 * @throws WireError `InputError` or `RequestConflict`; AgentError when something it needs is unavailable. The claim may
 *   be made again after any of them.
 */
export type ClaimNamespace = (claim: ClaimInput, signal: AbortSignal) => Promise<ClaimResult>;

/** Creates the claim of an installation. */
export function createClaim(
  context: Pick<NamespaceContext, 'store' | 'accounts' | 'clock' | 'bounds' | 'randomBytes' | 'intervals' | 'keyring'>,
  parts: {
    readonly revoker: Pick<Revoker, 'finish'>;
    readonly leftovers: Pick<Leftovers, 'deleteIfAccountExists'>;
  },
): ClaimNamespace {
  const { store, accounts, clock, bounds, randomBytes, intervals, keyring } = context;
  const { revoker, leftovers } = parts;
  const fence = fenceMs(intervals);

  const contextNow = (): ClaimContext => ({
    nowMs: clock.nowMs(),
    earliestMs: bounds.earliestMs(),
    intervals,
    secretId: keyring.currentSecretId,
    newIncarnation: () => randomBytes(LIFE_BYTES).toString('base64url'),
  });

  /** Makes the active account and writes `active`; undefined when the record has changed meanwhile. */
  const provision = async (
    record: NamespaceRecord,
    readAt: Moment,
    claim: ClaimInput,
    signal: AbortSignal,
  ): Promise<NamespaceRecord | undefined> => {
    try {
      await accounts.provision(record, activeSlot(record), openWindow(clock, readAt, fence), signal);
    } catch (error) {
      if (isAgentError(error, 'WindowClosed')) return undefined;
      throw error;
    }
    const active = afterProvisioning(record, claim, contextNow());
    return (await store.replace(active, record.revision)) ? active : undefined;
  };

  /** One try: undefined means that somebody else was faster. */
  const tryOnce = async (
    claim: ClaimInput,
    signal: AbortSignal,
  ): Promise<Omit<ClaimResult, 'reclaimAtMs' | 'connectionString'> | undefined> => {
    const readAt = momentOf(clock);
    const stored = await store.get(claim.namespace);
    const decision = decideClaim(stored, claim, contextNow());
    if (decision.action === 'finish') {
      await revoker.finish(claim.namespace, signal);
      return undefined;
    }
    // Who finds an incarnation that another try began and did not finish hands out its first credentials all the same.
    const isNew = decision.action !== 'renew' && decision.record.generation === 1;
    const isNewHolder = isNew || stored?.claimedBy !== claim.claimedBy;
    const isNewContact = !isNew && stored?.contact !== decision.record.contact;
    const news = { isNew, isNewHolder, isNewContact };
    if (decision.action === 'renew') {
      const written = await store.replace(decision.record, decision.record.revision - 1);
      return written ? { record: decision.record, ...news } : undefined;
    }
    if (decision.action === 'begin') {
      // The next try finds the namespace ending, or gone a moment ago.
      if (stored !== undefined && (await leftovers.deleteIfAccountExists(stored, signal))) return undefined;
      const written =
        stored === undefined
          ? await store.insert(decision.record)
          : await store.replace(decision.record, stored.revision);
      if (!written) return undefined;
    }
    const record = await provision(decision.record, readAt, claim, signal);
    return record && { record, ...news };
  };

  return async (claim, signal) => {
    checkExpires(claim.expiresMs, clock.nowMs(), intervals);
    for (let tries = 0; tries < MOST_TRIES; tries += 1) {
      signal.throwIfAborted();
      const done = await tryOnce(claim, signal);
      if (done === undefined) continue;
      return {
        ...done,
        reclaimAtMs: done.record.slots[activeSlot(done.record) === 1 ? 0 : 1].promisedUntilMs,
        connectionString: accounts.connectionString(done.record, activeSlot(done.record)),
      };
    }
    throw new AgentError('Contended', `Namespace ${claim.namespace} was changed by others at every try.`);
  };
}
