import { type Moment, momentOf } from '../../util/clock.ts';
import { WireError } from '../../contract/wire-errors.ts';
import { AgentError, isAgentError } from '../../util/agent-errors.ts';
import type { NonceEntry, NamespaceRecord } from '../../store/namespace-record.ts';
import type { BrokerUser, ManagementCallOptions } from '../../broker/management/management.ts';
import { hashMatches } from '../../broker/password-hash.ts';
import { accountName, type SlotNumber } from '../accounts/account-names.ts';
import { closeConnections, closeOpenConnections } from '../connections/close-connections.ts';
import {
  checkUntil,
  decideRevocation,
  isRecheckDue,
  withRecheckPostponed,
  type RevocationContext,
  type RevocationTarget,
  revocationTarget,
  afterSettling,
} from './decide-revocation.ts';
import type { NamespaceContext } from '../namespace-context.ts';
import { clockDifferenceMs, fenceMs } from '../timing.ts';
import { openWindow, type WriteWindow } from '../write-window.ts';

/** A revocation whose signature and scope are right. */
export interface Revocation {
  readonly namespace: string;
  /** Until when claims are refused, in ms since the epoch; undefined: they are not. */
  readonly untilMs: number | undefined;
  /** The memory of the request's signature. */
  readonly nonce: Pick<NonceEntry, 'key' | 'outcome' | 'firstSeenMs'>;
}

/** What came of a revocation. */
export interface Revoked {
  /** Whether this call did something. */
  readonly isNews: boolean;
  /**
   * Until when claims are refused now, in ms since the epoch; undefined: they are not. Another revocation may have named
   * another instant, and a rotation may have come before this one had its turn: what was asked for need not hold.
   */
  readonly refusedUntilMs: number | undefined;
}

/** Revokes credentials, and finishes what an agent that died left of that. */
export interface Revoker {
  /**
   * Makes every password given out useless and closes the connections; answers when both is done.
   *
   * @throws WireError `InputError`, `ResourceNotFound`, `RequestConflict`; AgentError when something is unavailable.
   */
  revoke(revocation: Revocation, signal: AbortSignal): Promise<Revoked>;
  /**
   * Carries on with a namespace that a revocation left unfinished or that is to be compared once more. Does nothing
   * about any other.
   */
  finish(namespace: string, signal: AbortSignal): Promise<void>;
}

const MOST_TRIES = 100;
const REASON = 'The credentials of this namespace were revoked.';
const SLOTS: readonly SlotNumber[] = [1, 2];

/** Creates the revoker of an installation. */
export function createRevoker(
  context: Pick<
    NamespaceContext,
    | 'config'
    | 'store'
    | 'nonces'
    | 'accounts'
    | 'management'
    | 'keyring'
    | 'clock'
    | 'bounds'
    | 'sleep'
    | 'intervals'
    | 'reporters'
  >,
): Revoker {
  const { store, nonces, accounts, management, keyring, clock, bounds, sleep, intervals, reporters } = context;
  const { usernamePrefix } = context.config;
  const fence = fenceMs(intervals);

  /**
   * Closes the connections of an account: until none is left when its password has just been written, and nobody can open
   * another one; else those that are open. Among them may be one whose client had logged in before the revocation, and
   * nothing tells it from those of newer credentials but the broker's clock.
   */
  const close = async (
    { namespace }: NamespaceRecord,
    slot: SlotNumber,
    isWritten: boolean,
    options: ManagementCallOptions & { readonly signal: AbortSignal },
  ): Promise<void> => {
    const account = accountName(usernamePrefix, namespace, slot);
    const closeThem = isWritten ? closeConnections : closeOpenConnections;
    const closed = await closeThem(management, account, REASON, options, sleep);
    for (const connection of closed) reporters.connectionClosed({ namespace, account, connection, reason: 'revoked' });
  };

  /** Whether an account has the password that the record says. */
  const holds = (record: NamespaceRecord, slot: SlotNumber, user: BrokerUser | undefined): boolean =>
    user !== undefined && hashMatches(user.passwordHash, accounts.password(record, slot));

  /** The accounts that have to be written: both while it is `provisioning`, as nobody may rely on what the broker has. */
  const findWrong = async (record: NamespaceRecord, signal: AbortSignal): Promise<readonly SlotNumber[]> => {
    if (record.state !== 'active') return SLOTS;
    const users = await Promise.all(
      SLOTS.map((slot) => management.getUser(accountName(usernamePrefix, record.namespace, slot), { signal })),
    );
    return SLOTS.filter((slot) => !holds(record, slot, users[slot - 1]));
  };

  /**
   * One try at both accounts of a record that has `recheckAtMs`; undefined when the record has changed meanwhile.
   *
   * @param cleared for which values of `recheckAtMs` the connections were closed already. Their clients claim anew then, which
   *   changes the record; closing them again at each try would never end.
   */
  const settle = async (
    read: NamespaceRecord,
    readAt: Moment,
    cleared: Set<number | null>,
    signal: AbortSignal,
  ): Promise<NamespaceRecord | undefined> => {
    const window: WriteWindow = openWindow(clock, readAt, fence);
    // An agent that was stopped in between must not close what was opened since with other passwords.
    const options = { signal, timeoutMs: window.timeoutMs, beforeSend: () => window.assertOpen() };
    // Of one moment: what becomes due while the accounts are looked at was looked at too early.
    const earliestMs = bounds.earliestMs();
    const isDue = isRecheckDue(read, earliestMs);
    let record = read;
    try {
      const wrong = await findWrong(record, signal);
      if (record.state === 'active' && wrong.length > 0) {
        // First, as whoever finds the passwords right after this must still wait for those who have logged in with others.
        record = withRecheckPostponed(record, { latestMs: bounds.latestMs(), intervals });
        if (!(await store.replace(record, read.revision))) return undefined;
      }
      await Promise.all(wrong.map((slot) => accounts.provision(record, slot, window, signal)));
      // After both passwords: no old one can open another connection while the open ones are closed.
      await Promise.all(
        SLOTS.map(async (slot) => {
          const isWritten = wrong.includes(slot);
          if (isWritten || (isDue && !cleared.has(record.recheckAtMs))) await close(record, slot, isWritten, options);
        }),
      );
      if (isDue) cleared.add(record.recheckAtMs);
      const next = afterSettling(record, wrong.length > 0, { earliestMs, latestMs: bounds.latestMs(), intervals });
      if (next === undefined) return record;
      return (await store.replace(next, record.revision)) ? next : undefined;
    } catch (error) {
      if (isAgentError(error, 'WindowClosed')) return undefined;
      throw error;
    }
  };

  const finish = async (namespace: string, signal: AbortSignal): Promise<void> => {
    const cleared = new Set<number | null>();
    for (let tries = 0; tries < MOST_TRIES; tries += 1) {
      signal.throwIfAborted();
      const readAt = momentOf(clock);
      const record = await store.get(namespace);
      if (record === undefined || record.recheckAtMs === null) return;
      if (record.state !== 'provisioning' && record.state !== 'active') return;
      // A claim may have made it active meanwhile, with the active account alone: then both are compared here.
      if ((await settle(record, readAt, cleared, signal)) !== undefined) return;
    }
    throw contended(namespace);
  };

  return {
    finish,

    async revoke({ namespace, untilMs = null, nonce }, signal) {
      const contextOf = (record: NamespaceRecord): RevocationContext => ({
        latestMs: bounds.latestMs(),
        earliestMs: bounds.earliestMs(),
        intervals,
        secretId: keyring.currentSecretId,
        hasNextKey: keyring.has(record.nextSecretId),
        untilMs,
      });
      let target = readTarget(nonce.outcome);
      if (target === undefined) checkUntil(untilMs, clock.nowMs(), intervals);
      let isNews = false;
      const outcome = (record?: NamespaceRecord): Revoked => {
        const until = record?.revokedUntilMs ?? 0;
        return { isNews, refusedUntilMs: until > bounds.earliestMs() ? until : undefined };
      };
      for (let tries = 0; tries < MOST_TRIES; tries += 1) {
        signal.throwIfAborted();
        const record = await store.get(namespace);
        if (record === undefined) {
          if (target !== undefined) return outcome();
          throw new WireError('ResourceNotFound', `There is no namespace ${namespace}.`);
        }
        if (target === undefined) {
          // Claimed after the request was first seen: its passwords are other ones than were to be revoked.
          if (record.createdMs > nonce.firstSeenMs + clockDifferenceMs(intervals)) return outcome(record);
          const own = revocationTarget(record, { ...nonce, nowMs: clock.nowMs(), intervals });
          // Fixed before anything happens: a redelivery finds what this one was about.
          target = readTarget(await nonces.recordOutcome(nonce.key, JSON.stringify(own))) ?? own;
        }
        const decision = decideRevocation(record, target, contextOf(record));
        if (decision.action === 'done') return outcome(record);
        if (decision.action === 'finish') {
          // Somebody has died in the middle, or is there. What only waits for its last comparison was done, and told of.
          isNews ||= record.state === 'provisioning';
          await finish(namespace, signal);
          return outcome(record);
        }
        if (!(await store.replace(decision.record, record.revision))) continue;
        isNews = true;
        if (decision.action === 'refuse') return outcome(decision.record);
      }
      throw contended(namespace);
    },
  };
}

function readTarget(outcome: string | null | undefined): RevocationTarget | undefined {
  return outcome === null || outcome === undefined ? undefined : (JSON.parse(outcome) as RevocationTarget);
}

function contended(namespace: string): AgentError {
  return new AgentError('Contended', `Namespace ${namespace} was changed by others at every try.`);
}
