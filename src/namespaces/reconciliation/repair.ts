import type { NamespaceRecord } from '../../store/namespace-record.ts';
import { isAgentError } from '../../util/agent-errors.ts';
import { type Moment, momentOf } from '../../util/clock.ts';
import { type Attempt, compareAndSet, CONFLICT } from '../../util/compare-and-set.ts';
import { accountName, permissionsOf } from '../accounts/account-names.ts';
import { readPermissions, writePermissions } from '../../broker/user-permissions.ts';
import { type AccountState, LIMIT_NAMES } from '../accounts/account-state.ts';
import type { CheckPassword } from '../accounts/password-check.ts';
import { closeStrayConnections, CONNECTION_LISTED_MS } from '../connections/close-connections.ts';
import type { Leftovers } from '../deletion/delete-leftovers.ts';
import type { NamespaceContext } from '../namespace-context.ts';
import { isRecheckDue, needsRecheck } from '../revocation/decide-revocation.ts';
import type { Revoker } from '../revocation/revoke.ts';
import { forSlot, type SlotNumber, slotOf, type SlotPair } from '../slots.ts';
import { fenceMs, type Intervals, settlementMs } from '../timing.ts';
import { openWindow, type WriteWindow, writeOptions } from '../write-window.ts';
import { beforeRotation, decideRepair, type RepairDecision } from './decide-repair.ts';
import type { RepairableFault } from './find-faults.ts';

/**
 * Reads the record and the accounts of a namespace, and repairs the drift between them.
 *
 * Rejects with AgentError when something is unavailable; it may be repeated after that.
 *
 * @returns whether it changed anything.
 */
export type Repair = (namespace: string, signal: AbortSignal) => Promise<boolean>;

/** A repair that does not succeed after this many attempts waits for its next turn. */
const MAX_ATTEMPTS = 10;

const STRAY_REASON = 'The credentials of this account were never handed out.';

/** Whether the last late write of a deleted incarnation has arrived: what exists on the broker now is a leftover. */
export function isSettled(record: NamespaceRecord, nowMs: number, intervals: Intervals): boolean {
  return record.state === 'deleted' && (record.deletedAtMs ?? nowMs) + settlementMs(intervals) <= nowMs;
}

/** Creates the repair of an installation. */
export function createRepair(
  context: Pick<
    NamespaceContext,
    | 'config'
    | 'store'
    | 'storeId'
    | 'management'
    | 'cluster'
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
  const { config, store, storeId, management, cluster, accounts, keyring, clock, bounds, sleep, random } = context;
  const { intervals, reporters } = context;
  const { checkPassword, revoker, leftovers } = parts;
  const { usernamePrefix, accountLimits: limits } = config;
  const fence = fenceMs(intervals);

  const readAccount = async (namespace: string, slot: SlotNumber, signal: AbortSignal): Promise<AccountState> => {
    const account = accountName(usernamePrefix, namespace, slot);
    const options = { signal, timeoutMs: fence };
    const [user, permissions, userLimits] = await Promise.all([
      management.getUser(account, options),
      readPermissions(management, account, options),
      management.getUserLimits(account, options),
    ]);
    return { user, ...permissions, limits: userLimits };
  };

  /** Closes the connections of a stray account, as long as it was not handed out. */
  const closeStray = async (record: NamespaceRecord, slot: SlotNumber, signal: AbortSignal): Promise<void> => {
    const options = { signal, timeoutMs: fence };
    const account = accountName(usernamePrefix, record.namespace, slot);
    const permit = async () => {
      const window = openWindow(clock, momentOf(clock), fence);
      const now = await store.get(record.namespace);
      if (now?.incarnation !== record.incarnation || slotOf(now, slot).generation !== 0) return undefined;
      return { ...options, beforeSend: () => window.assertOpen() };
    };
    await closeStrayConnections(management, account, permit, STRAY_REASON, options, sleep);
  };

  /** Writes what drifted. */
  const writeAccount = async (
    record: NamespaceRecord,
    { slot, kind, drift }: RepairableFault,
    found: AccountState,
    window: WriteWindow,
    signal: AbortSignal,
  ): Promise<void> => {
    const account = accountName(usernamePrefix, record.namespace, slot);
    const options = writeOptions(window, signal);
    if (drift.some((what) => what === 'account' || what === 'password' || what === 'tags')) {
      await accounts.provision(kind === 'stray' ? beforeRotation(record, slot) : record, slot, window, signal);
    }
    if (drift.includes('permissions')) {
      await writePermissions(management, account, found, permissionsOf(config, record.namespace), options);
    }
    if (!drift.includes('limits')) return;
    for (const limit of LIMIT_NAMES) {
      const value = limits[limit];
      if (value === found.limits[limit]) continue;
      if (value === undefined) await management.deleteUserLimit(account, limit, options);
      else await management.putUserLimit(account, limit, value, options);
    }
  };

  const repairFault = async (
    record: NamespaceRecord,
    fault: RepairableFault,
    found: AccountState,
    window: WriteWindow,
    signal: AbortSignal,
  ): Promise<void> => {
    const { slot, kind, drift } = fault;
    // Before the password is written, so that the fault stays if this agent dies; and after it, when no client can
    // connect.
    const closesConnections = kind === 'stray' && drift.includes('password');
    if (closesConnections) await closeStray(record, slot, signal);
    await writeAccount(record, fault, found, window, signal);
    reporters.accountRepaired(record.namespace, accountName(usernamePrefix, record.namespace, slot), drift);
    if (!closesConnections) return;
    await sleep(CONNECTION_LISTED_MS, signal);
    await closeStray(record, slot, signal);
  };

  const decide = (record: NamespaceRecord, found: SlotPair<AccountState>): RepairDecision => {
    const permissions = permissionsOf(config, record.namespace);
    const nowMs = bounds.latestMs();
    const repairContext = { nowMs, intervals, keyring, permissions, limits, check: checkPassword(record), storeId };
    return decideRepair(record, found, repairContext, random);
  };

  /** One attempt to repair the accounts of an active record. */
  const repairActive = async (
    record: NamespaceRecord,
    readAt: Moment,
    since: Moment,
    signal: AbortSignal,
  ): Promise<Attempt<boolean>> => {
    const window = openWindow(clock, readAt, fence);
    const { namespace } = record;
    const found = await Promise.all([readAccount(namespace, 1, signal), readAccount(namespace, 2, signal)]);
    const decision = decide(record, found);
    if (decision.action === 'none') return false;
    if (decision.action === 'restore') {
      try {
        for (const fault of decision.faults) {
          await repairFault(record, fault, forSlot(found, fault.slot), window, signal);
        }
        return true;
      } catch (error) {
        if (isAgentError(error, 'WindowClosed')) return CONFLICT;
        throw error;
      }
    }
    // What one side of a split has says nothing about the record.
    if (!(await cluster.confirm(since, signal))) return CONFLICT;
    const isWritten = await store.replace(decision.record, record.revision);
    if (isWritten && decision.action === 'advance') {
      reporters.recordAdvanced(namespace, record.generation, decision.record.generation);
    }
    // The next attempt decides from the written record.
    return CONFLICT;
  };

  /** Finishes a revocation, which also closes the connections that an old password opened in between. */
  const finishRevocation = async (record: NamespaceRecord, signal: AbortSignal): Promise<Attempt<boolean>> => {
    const earliestMs = bounds.earliestMs();
    await revoker.finish(record.namespace, signal);
    return isRecheckDue(record, earliestMs) ? CONFLICT : false;
  };

  return async (namespace, signal) =>
    await compareAndSet(
      `the accounts of ${namespace}`,
      signal,
      async (): Promise<Attempt<boolean>> => {
        const readAt = momentOf(clock);
        const record = await store.get(namespace);
        if (record === undefined) return false;
        const since = await cluster.permit(signal);
        if (needsRecheck(record)) return await finishRevocation(record, signal);
        switch (record.state) {
          case 'active':
            return await repairActive(record, readAt, since, signal);
          case 'deleted':
            return (
              isSettled(record, clock.nowMs(), intervals) && (await leftovers.deleteIfAccountExists(record, signal))
            );
          // Its accounts are being provisioned or deleted, and differ from the record.
          case 'provisioning':
          case 'expiring':
            return false;
        }
      },
      MAX_ATTEMPTS,
    );
}
