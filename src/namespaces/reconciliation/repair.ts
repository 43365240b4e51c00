import type { Permissions } from '../../broker/management/management.ts';
import { type Moment, momentOf } from '../../util/clock.ts';
import { AgentError, isAgentError } from '../../util/agent-errors.ts';
import type { NamespaceRecord } from '../../store/namespace-record.ts';
import { accountName, permissionsOf } from '../accounts/account-names.ts';
import type { SlotNumber } from '../slots.ts';
import type { Leftovers } from '../deletion/delete-leftovers.ts';
import { closeStrayConnections, CONNECTION_LISTED_MS } from '../connections/close-connections.ts';
import {
  beforeRotation,
  type CheckPassword,
  decideRepair,
  LIMIT_NAMES,
  type RepairableFault,
  type SeenAccount,
  type SeenAccounts,
} from './decide-repair.ts';
import { isRecheckDue, needsRecheck } from '../revocation/decide-revocation.ts';
import type { NamespaceContext } from '../namespace-context.ts';
import type { Revoker } from '../revocation/revoke.ts';
import { fenceMs, type Intervals, settlementMs } from '../timing.ts';
import { openWindow, type WriteWindow } from '../write-window.ts';

/**
 * Compares the accounts of a namespace with its record, both read afresh, and puts right what differs.
 *
 * Rejects with AgentError when something is unavailable; it may be done again after that.
 *
 * @returns whether it changed anything.
 */
export type Repair = (namespace: string, signal: AbortSignal) => Promise<boolean>;

const MOST_TRIES = 10;
const STRANGER = 'This account was given to nobody.';

/** Whether what the broker shows of a tombstone now was there after the last late write of its incarnation can have come. */
export function isSettled(record: NamespaceRecord, nowMs: number, intervals: Intervals): boolean {
  return record.state === 'deleted' && (record.deletedAtMs ?? nowMs) + settlementMs(intervals) <= nowMs;
}

/** Creates the repair of an installation. */
export function createRepair(
  context: Pick<
    NamespaceContext,
    | 'config'
    | 'store'
    | 'management'
    | 'accounts'
    | 'keyring'
    | 'clock'
    | 'bounds'
    | 'sleep'
    | 'random'
    | 'intervals'
    | 'reporters'
  >,
  parts: {
    readonly checkPassword: (record: NamespaceRecord) => CheckPassword;
    readonly revoker: Pick<Revoker, 'finish'>;
    readonly leftovers: Pick<Leftovers, 'deleteIfAccountExists'>;
  },
): Repair {
  const { config, store, management, accounts, keyring, clock, bounds, sleep, random, intervals, reporters } = context;
  const { id, vhost, usernamePrefix, accountLimits: limits } = config;
  const fence = fenceMs(intervals);

  const look = async (namespace: string, slot: SlotNumber, signal: AbortSignal): Promise<SeenAccount> => {
    const account = accountName(usernamePrefix, namespace, slot);
    const options = { signal, timeoutMs: fence };
    const [user, permissions, seenLimits] = await Promise.all([
      management.getUser(account, options),
      management.getPermissions(vhost, account, options),
      management.getUserLimits(account, options),
    ]);
    return { user, permissions, limits: seenLimits };
  };

  const put = async (
    record: NamespaceRecord,
    fault: RepairableFault,
    seen: SeenAccount,
    window: WriteWindow,
    signal: AbortSignal,
  ): Promise<void> => {
    const account = accountName(usernamePrefix, record.namespace, fault.slot);
    const options = { signal, timeoutMs: window.timeoutMs, beforeSend: () => window.assertOpen() };
    const { kind, differs } = fault;
    const isStrangers = kind === 'stray' && differs.includes('password');
    // Before the password, so that who dies in between leaves it to be done again; and after it, when none opens any more.
    if (isStrangers) await closeStray(record, fault.slot, signal);
    if (differs.some((what) => what === 'account' || what === 'password' || what === 'tags')) {
      const made = kind === 'stray' ? beforeRotation(record, fault.slot) : record;
      await accounts.provision(made, fault.slot, window, signal);
    }
    if (differs.includes('permissions')) {
      await management.putPermissions(vhost, account, expected(record), options);
    }
    if (differs.includes('limits')) {
      for (const limit of LIMIT_NAMES) {
        const value = limits[limit];
        if (value === seen.limits[limit]) continue;
        if (value === undefined) await management.deleteUserLimit(account, limit, options);
        else await management.putUserLimit(account, limit, value, options);
      }
    }
    reporters.accountRepaired(record.namespace, account, differs);
    if (!isStrangers) return;
    await sleep(CONNECTION_LISTED_MS, signal);
    await closeStray(record, fault.slot, signal);
  };

  const closeStray = async (record: NamespaceRecord, slot: SlotNumber, signal: AbortSignal): Promise<void> => {
    const options = { signal, timeoutMs: fence };
    const account = accountName(usernamePrefix, record.namespace, slot);
    const permit = async () => {
      const window = openWindow(clock, momentOf(clock), fence);
      const now = await store.get(record.namespace);
      if (now?.incarnation !== record.incarnation || now.slots[slot === 1 ? 0 : 1].generation !== 0) return undefined;
      return { ...options, beforeSend: () => window.assertOpen() };
    };
    await closeStrayConnections(management, account, permit, STRANGER, options, sleep);
  };

  const expected = (record: NamespaceRecord): Permissions => permissionsOf(id, record.namespace);

  /** One try about an active record; undefined: it has to be decided anew. */
  const repairActive = async (
    record: NamespaceRecord,
    readAt: Moment,
    signal: AbortSignal,
  ): Promise<boolean | undefined> => {
    const window = openWindow(clock, readAt, fence);
    const [first, second] = await Promise.all([look(record.namespace, 1, signal), look(record.namespace, 2, signal)]);
    const seen: SeenAccounts = [first, second];
    const decision = decideRepair(
      record,
      seen,
      {
        nowMs: bounds.latestMs(),
        intervals,
        keyring: keyring,
        permissions: expected(record),
        limits,
        check: parts.checkPassword(record),
      },
      random,
    );
    if (decision.action === 'none') return false;
    if (decision.action === 'note') {
      await store.replace(decision.record, record.revision);
      return undefined;
    }
    if (decision.action === 'advance') {
      if (await store.replace(decision.record, record.revision)) {
        reporters.recordAdvanced(record.namespace, record.generation, decision.record.generation);
      }
      return undefined;
    }
    try {
      for (const fault of decision.faults) await put(record, fault, seen[fault.slot - 1] ?? first, window, signal);
      return true;
    } catch (error) {
      if (isAgentError(error, 'WindowClosed')) return undefined;
      throw error;
    }
  };

  const removeLeftovers = async (record: NamespaceRecord, signal: AbortSignal): Promise<boolean> => {
    return isSettled(record, clock.nowMs(), intervals) && (await parts.leftovers.deleteIfAccountExists(record, signal));
  };

  return async (namespace, signal) => {
    for (let tries = 0; tries < MOST_TRIES; tries += 1) {
      signal.throwIfAborted();
      const readAt = momentOf(clock);
      const record = await store.get(namespace);
      if (record === undefined) return false;
      if (needsRecheck(record)) {
        const earliestMs = bounds.earliestMs();
        // It closes the connections, too, that an old password opened meanwhile.
        await parts.revoker.finish(namespace, signal);
        if (isRecheckDue(record, earliestMs)) continue;
        return false;
      }
      if (record.state === 'deleted') return await removeLeftovers(record, signal);
      // What is being made or deleted is not yet, or no longer, what its record says.
      if (record.state !== 'active') return false;
      const done = await repairActive(record, readAt, signal);
      if (done !== undefined) return done;
    }
    throw new AgentError(
      'Contended',
      `The accounts of ${namespace} could not be compared in time, or were changed by others, at every try.`,
    );
  };
}
