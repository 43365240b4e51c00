import { setImmediate } from 'node:timers/promises';
import { storesOfTags } from '../../broker/store-tag.ts';
import { contractNames, namespaceOfAccount } from '../../contract/names.ts';
import type { NamespaceRecord } from '../../store/namespace-record.ts';
import { namespacePages } from '../../store/paged-listing.ts';
import { matchesAny } from '../../util/name-pattern.ts';
import { accountNames, createPermissionsOf } from '../accounts/account-names.ts';
import { listAccounts, type ListedAccounts } from '../accounts/list-accounts.ts';
import type { VerifiedHashes } from '../accounts/password-check.ts';
import { createConnectionAges } from '../connections/connection-ages.ts';
import { closeOldConnections } from '../connections/close-old-connections.ts';
import type { Leftovers } from '../deletion/delete-leftovers.ts';
import { forEachWithBackoff } from '../due-namespaces.ts';
import type { NamespaceContext } from '../namespace-context.ts';
import { listOwnedObjects } from '../owned-objects.ts';
import { isRecheckDue } from '../revocation/decide-revocation.ts';
import { findFaults } from './find-faults.ts';
import { isSettled, type Repair } from './repair.ts';

/** What one reconciliation found and did. */
interface Reconciled {
  /** Records that were checked. */
  readonly namespaces: number;
  /** Namespaces that seemed to have drifted, and whose repair changed something. */
  readonly repaired: number;
  /** Tombstones whose leftovers were deleted. */
  readonly leftovers: number;
  /** Connections that were closed because of their age. */
  readonly connections: number;
  /** Account-like users without a record, sorted; the agent leaves them alone. */
  readonly unknown: readonly string[];
}

/**
 * Compares everything that the broker has of this installation with the store, and repairs the drift. When a part
 * fails, the rest is done before it rejects with the first failure. It may run concurrently with itself.
 */
export type Reconcile = (signal: AbortSignal) => Promise<Reconciled>;

const PAGE_SIZE = 500;

/**
 * Creates the reconciliation of an installation. Its listings only find drift; a repair reads again before it writes.
 */
export function createReconcile(
  context: Pick<
    NamespaceContext,
    | 'config'
    | 'store'
    | 'storeId'
    | 'management'
    | 'keyring'
    | 'clock'
    | 'bounds'
    | 'intervals'
    | 'backoff'
    | 'reporters'
  >,
  parts: {
    readonly verified: VerifiedHashes;
    readonly repair: Repair;
    readonly leftovers: Pick<Leftovers, 'delete'>;
  },
): Reconcile {
  const { config, store, storeId, management, keyring, clock, bounds, intervals, backoff, reporters } = context;
  const { id, agentUser, vhost, usernamePrefix, accountLimits: limits, managementConcurrency: concurrency } = config;
  /** RabbitMQ users of the agent itself, which are no accounts whatever their names are. */
  const ownUsers = new Set([agentUser, contractNames(id).claimantUser]);
  const permissionsOf = createPermissionsOf(config);
  const ages = createConnectionAges();
  let lastUnknown = '';

  const namespaceOf = (user: string): string | undefined =>
    ownUsers.has(user) ? undefined : namespaceOfAccount(config, user);

  /** Every record, in pages. Other work runs between two pages. */
  async function* records(signal: AbortSignal): AsyncGenerator<NamespaceRecord> {
    for await (const page of namespacePages(store, signal, { limit: PAGE_SIZE })) {
      yield* page;
      await setImmediate();
    }
  }

  /** Whether a repair may have something to do. */
  const needsRepair = (record: NamespaceRecord, listed: ListedAccounts, [first, second]: readonly [string, string]) => {
    if (isRecheckDue(record, bounds.earliestMs())) return true;
    if (record.state !== 'active') return false;
    const permissions = permissionsOf(record.namespace);
    const check = parts.verified.of(record);
    const accounts = [listed.stateOf(first, permissions), listed.stateOf(second, permissions)] as const;
    const repairContext = { nowMs: clock.nowMs(), intervals, keyring, permissions, limits, check, storeId };
    return findFaults(record, accounts, repairContext).length > 0;
  };

  /** Compares every record with the listings. */
  const compareRecords = async (
    listed: ListedAccounts,
    listedAtMs: number,
    signal: AbortSignal,
  ): Promise<ComparedRecords> => {
    const compared: ComparedRecords = { namespaces: 0, suspects: [], tombstones: new Set(), connected: new Set() };
    const withOldConnections = new Set(listed.old.map(({ namespace }) => namespace));
    for await (const record of records(signal)) {
      compared.namespaces += 1;
      const { namespace } = record;
      const accounts = accountNames(usernamePrefix, namespace);
      for (const account of accounts) listed.addRecord(account);
      if (withOldConnections.has(namespace)) compared.connected.add(namespace);
      if (isSettled(record, listedAtMs, intervals) && !matchesAny(config.reservedNamespaces, namespace)) {
        compared.tombstones.add(namespace);
      }
      if (needsRepair(record, listed, accounts)) compared.suspects.push({ namespace });
    }
    parts.verified.forget((account) => !listed.has(account));
    return compared;
  };

  const repairSuspects = async (suspects: ComparedRecords['suspects'], signal: AbortSignal): Promise<number> => {
    const ready = suspects.filter(({ namespace }) => backoff.ready('repair', namespace));
    const options = { work: 'repair', backoff, concurrency, signal } as const;
    return await forEachWithBackoff(ready, options, ({ namespace }) => parts.repair(namespace, signal));
  };

  /** Deletes what the broker still has of deleted namespaces. @returns of how many. */
  const deleteLeftovers = async (
    tombstones: ReadonlySet<string>,
    listed: ListedAccounts,
    signal: AbortSignal,
  ): Promise<number> => {
    if (tombstones.size === 0) return 0;
    const owned = await listOwnedObjects(management, vhost, tombstones, signal);
    const found = new Set(owned.keys());
    for (const { user } of listed.users()) {
      const namespace = namespaceOf(user.name);
      if (namespace === undefined || !tombstones.has(namespace)) continue;
      if (storesOfTags(user.tags).includes(storeId)) found.add(namespace);
    }
    if (found.size > 0) await parts.leftovers.delete([...found], signal);
    return found.size;
  };

  /** The account-like users without a record, and those of tombstones that no agent created; reports changes. */
  const findUnknownUsers = (listed: ListedAccounts, { tombstones }: ComparedRecords): string[] => {
    const unknown: string[] = [];
    for (const { user, hasRecord } of listed.users()) {
      const isForeign = () =>
        tombstones.has(namespaceOf(user.name) ?? '') && !storesOfTags(user.tags).includes(storeId);
      if (!hasRecord || isForeign()) unknown.push(user.name);
    }
    unknown.sort();
    const joined = unknown.join(' ');
    if (joined !== lastUnknown) reporters.unknownUsersChanged(unknown);
    lastUnknown = joined;
    return unknown;
  };

  /** Closes the old connections of namespaces; a user that is no account may stay connected. */
  const closeOld = async (old: ListedAccounts['old'], connected: ReadonlySet<string>, signal: AbortSignal) =>
    await closeOldConnections(
      management,
      old.filter(({ namespace }) => connected.has(namespace)),
      (closed) => reporters.connectionClosed({ ...closed, reason: 'age' }),
      signal,
    );

  return async (signal) => {
    const failures: unknown[] = [];
    /** Counts the effects of one part; its failure does not stop the other parts. */
    const attempt = async (part: () => Promise<number>): Promise<number> => {
      try {
        return await part();
      } catch (error) {
        signal.throwIfAborted();
        failures.push(error);
        return 0;
      }
    };

    const listedAtMs = clock.nowMs();
    const openedBeforeMs = bounds.earliestMs() - config.connectionMaxAgeSeconds * 1000;
    const instants = { openedBeforeMs, seenMs: bounds.latestMs() };
    const listed = await listAccounts({ management, config, storeId, namespaceOf, ages }, instants, signal);
    const compared = await compareRecords(listed, listedAtMs, signal);
    const { namespaces, suspects, tombstones, connected } = compared;
    const unknown = findUnknownUsers(listed, compared);
    const repaired = await attempt(() => repairSuspects(suspects, signal));
    const leftovers = await attempt(() => deleteLeftovers(tombstones, listed, signal));
    const connections = await attempt(() => closeOld(listed.old, connected, signal));
    if (failures.length > 0) throw failures[0];
    return { namespaces, repaired, leftovers, connections, unknown };
  };
}

interface ComparedRecords {
  namespaces: number;
  readonly suspects: { readonly namespace: string }[];
  /** Namespaces whose tombstone is settled. */
  readonly tombstones: Set<string>;
  /** Namespaces with a record and old connections. */
  readonly connected: Set<string>;
}
