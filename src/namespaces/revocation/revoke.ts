import type { BrokerUser, ManagementCallOptions } from '../../broker/management/management.ts';
import { hashMatches } from '../../broker/password-hash.ts';
import { WireError } from '../../contract/wire-errors.ts';
import type { NamespaceRecord } from '../../store/namespace-record.ts';
import { isAgentError } from '../../util/agent-errors.ts';
import { type Moment, momentOf } from '../../util/clock.ts';
import { type Attempt, compareAndSet, CONFLICT } from '../../util/compare-and-set.ts';
import { accountName } from '../accounts/account-names.ts';
import { closeConnections, closeOpenConnections } from '../connections/close-connections.ts';
import type { NamespaceContext } from '../namespace-context.ts';
import { forSlot, SLOT_NUMBERS, type SlotNumber } from '../slots.ts';
import { clockDifferenceMs, fenceMs } from '../timing.ts';
import { openWindow, type WriteWindow, writeOptions } from '../write-window.ts';
import {
  afterSettlement,
  checkRevokedUntil,
  decideRevocation,
  isRecheckDue,
  type RevocationContext,
  type RevocationTarget,
  revocationTarget,
  withRecheckPostponed,
} from './decide-revocation.ts';
import type { NonceEntry } from '../../store/nonce-records.ts';

/** A revocation whose signature and scope are right. */
export interface RevocationInput {
  readonly namespace: string;
  /** Until when claims are refused, in ms since the epoch; undefined: they are not. */
  readonly untilMs: number | undefined;
  /** The stored use of the request's signature. */
  readonly nonce: Pick<NonceEntry, 'key' | 'outcome' | 'firstSeenMs'>;
}

/** What a revocation did. */
export interface Revoked {
  /** Whether this call revoked something. */
  readonly changed: boolean;
  /**
   * Until when claims are refused now, in ms since the epoch; undefined: they are not. It may differ from what this
   * call asked for: another revocation may have named another instant, or come later.
   */
  readonly refusedUntilMs: number | undefined;
}

/** Revokes credentials, and finishes revocations that another agent left unfinished. */
export interface Revoker {
  /**
   * Invalidates every password that was handed out and closes the connections; resolves when both is done.
   *
   * @throws WireError `InputError`, `ResourceNotFound`, `RequestConflict`; AgentError when something is unavailable.
   */
  revoke(revocation: RevocationInput, signal: AbortSignal): Promise<Revoked>;
  /** Finishes the revocation of a namespace, or checks its accounts again after one. Does nothing about any other. */
  finish(namespace: string, signal: AbortSignal): Promise<void>;
}

const REASON = 'The credentials of this namespace were revoked.';

/** Creates the revoker of an installation. */
export function createRevoker(
  context: Pick<
    NamespaceContext,
    | 'config'
    | 'store'
    | 'nonces'
    | 'accounts'
    | 'management'
    | 'cluster'
    | 'keyring'
    | 'clock'
    | 'bounds'
    | 'sleep'
    | 'intervals'
    | 'reporters'
  >,
): Revoker {
  const { store, nonces, accounts, management, cluster, keyring, clock, bounds, sleep, intervals, reporters } = context;
  const { usernamePrefix } = context.config;
  const fence = fenceMs(intervals);

  const hasPassword = (record: NamespaceRecord, slot: SlotNumber, user: BrokerUser | undefined): boolean =>
    user !== undefined && hashMatches(user.passwordHash, accounts.password(record, slot));

  /** The accounts that have to be written: both in `provisioning`, where what the broker has counts for nothing. */
  const findWrong = async (record: NamespaceRecord, signal: AbortSignal): Promise<readonly SlotNumber[]> => {
    if (record.state !== 'active') return SLOT_NUMBERS;
    const getUser = (slot: SlotNumber) =>
      management.getUser(accountName(usernamePrefix, record.namespace, slot), { signal });
    const [first, second] = SLOT_NUMBERS;
    const users = await Promise.all([getUser(first), getUser(second)]);
    return SLOT_NUMBERS.filter((slot) => !hasPassword(record, slot, forSlot(users, slot)));
  };

  /**
   * Closes the connections of an account. When its password was just written, no client can open another one, so it
   * goes on until none is left. Otherwise it closes those that are open: the client of one of them may have logged in
   * before the revocation, and only the broker's clock could distinguish it from those with newer credentials.
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

  /**
   * Postpones the recheck of an active record before its accounts are written. Another agent that finds the passwords
   * right immediately after that must still wait for clients that logged in with others.
   */
  const postponeRecheck = async (read: NamespaceRecord): Promise<Attempt<NamespaceRecord>> => {
    const record = withRecheckPostponed(read, { latestMs: bounds.latestMs(), intervals });
    return (await store.replace(record, read.revision)) ? record : CONFLICT;
  };

  /** Writes the accounts that are wrong, closes their connections, and those of both accounts if that is due. */
  const writeAndClose = async (
    record: NamespaceRecord,
    wrong: readonly SlotNumber[],
    closesAll: boolean,
    window: WriteWindow,
    signal: AbortSignal,
  ): Promise<void> => {
    // An agent that was suspended in between must not close what clients opened since then with other passwords.
    const options = writeOptions(window, signal);
    await Promise.all(wrong.map((slot) => accounts.provision(record, slot, window, signal)));
    // After both passwords, so that no old one can open another connection while the open ones are closed.
    await Promise.all(
      SLOT_NUMBERS.map(async (slot) => {
        const isWritten = wrong.includes(slot);
        if (isWritten || closesAll) await close(record, slot, isWritten, options);
      }),
    );
  };

  /**
   * One attempt to settle both accounts of a record that has `recheckAtMs`.
   *
   * @param closedFor for which values of `recheckAtMs` all connections were closed already. Their clients then claim
   *   again, which changes the record; closing them again at each attempt would go on for ever.
   */
  const settle = async (
    read: NamespaceRecord,
    readAt: Moment,
    closedFor: Set<number | null>,
    signal: AbortSignal,
  ): Promise<Attempt<void>> => {
    // Half revoked is better than not: what this side of a split refuses can do no harm there.
    await cluster.isOpen(signal);
    const since = momentOf(clock);
    const window = openWindow(clock, readAt, fence, { evenWhenSplit: true });
    // Taken once: what becomes due while the accounts are checked was checked too early.
    const earliestMs = bounds.earliestMs();
    const isDue = isRecheckDue(read, earliestMs);
    try {
      const wrong = await findWrong(read, signal);
      const isWritten = wrong.length > 0;
      const record = read.state === 'active' && isWritten ? await postponeRecheck(read) : read;
      if (record === CONFLICT) return CONFLICT;
      await writeAndClose(record, wrong, isDue && !closedFor.has(record.recheckAtMs), window, signal);
      if (isDue) closedFor.add(record.recheckAtMs);
      // It is finished, and new credentials are handed out, when it holds on every node.
      if (!(await cluster.confirm(since, signal))) return CONFLICT;
      const next = afterSettlement(record, isWritten, { earliestMs, latestMs: bounds.latestMs(), intervals });
      if (next !== undefined && !(await store.replace(next, record.revision))) return CONFLICT;
    } catch (error) {
      if (isAgentError(error, 'WindowClosed')) return CONFLICT;
      throw error;
    }
  };

  const finish = async (namespace: string, signal: AbortSignal): Promise<void> => {
    const closedFor = new Set<number | null>();
    await compareAndSet(`namespace ${namespace}`, signal, async (): Promise<Attempt<void>> => {
      const readAt = momentOf(clock);
      const record = await store.get(namespace);
      if (record === undefined || record.recheckAtMs === null) return;
      if (record.state !== 'provisioning' && record.state !== 'active') return;
      // A claim may have made it active in between, with the active account alone: both are checked here.
      return await settle(record, readAt, closedFor, signal);
    });
  };

  const contextFor = (record: NamespaceRecord, untilMs: number | null): RevocationContext => ({
    latestMs: bounds.latestMs(),
    earliestMs: bounds.earliestMs(),
    intervals,
    secretId: keyring.currentSecretId,
    hasNextSecret: keyring.has(record.nextSecretId),
    untilMs,
  });

  /** Until when claims are refused by this record. */
  const refusedUntilMs = (record: NamespaceRecord | undefined): number | undefined => {
    const untilMs = record?.revokedUntilMs ?? 0;
    return untilMs > bounds.earliestMs() ? untilMs : undefined;
  };

  /** Stores the target before anything happens, so that a redelivery finds what the request was about. */
  const storeTarget = async (record: NamespaceRecord, nonce: RevocationInput['nonce']): Promise<RevocationTarget> => {
    const own = revocationTarget(record, { ...nonce, nowMs: clock.nowMs(), intervals });
    return readTarget(await nonces.recordOutcome(nonce.key, JSON.stringify(own))) ?? own;
  };

  return {
    finish,

    async revoke({ namespace, untilMs = null, nonce }, signal) {
      let target = readTarget(nonce.outcome);
      let changed = false;
      const outcome = (record?: NamespaceRecord): Revoked => ({ changed, refusedUntilMs: refusedUntilMs(record) });
      if (target === undefined) checkRevokedUntil(untilMs, clock.nowMs(), intervals);
      return await compareAndSet(`namespace ${namespace}`, signal, async (): Promise<Attempt<Revoked>> => {
        const record = await store.get(namespace);
        if (record === undefined) {
          if (target !== undefined) return outcome();
          throw new WireError('ResourceNotFound', `There is no namespace ${namespace}.`);
        }
        if (target === undefined) {
          // It was claimed after the request was first seen: its passwords are not those that were to be revoked.
          if (record.createdMs > nonce.firstSeenMs + clockDifferenceMs(intervals)) return outcome(record);
          target = await storeTarget(record, nonce);
        }
        const decision = decideRevocation(record, target, contextFor(record, untilMs));
        if (decision.action === 'done') return outcome(record);
        if (decision.action === 'finish') {
          // A revocation that only waits for its recheck was carried out and reported.
          changed ||= record.state === 'provisioning';
          await finish(namespace, signal);
          return outcome(record);
        }
        if (!(await store.replace(decision.record, record.revision))) return CONFLICT;
        changed = true;
        return decision.action === 'refuse' ? outcome(decision.record) : CONFLICT;
      });
    },
  };
}

function readTarget(outcome: string | null | undefined): RevocationTarget | undefined {
  return outcome === null || outcome === undefined ? undefined : (JSON.parse(outcome) as RevocationTarget);
}
