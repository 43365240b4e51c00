import type { ListedConnection } from '../../broker/management/management.ts';
import type { DeletionReason, NamespaceRecord } from '../../store/namespace-record.ts';
import { accountNames } from '../accounts/account-names.ts';
import { closeConnections } from '../connections/close-connections.ts';
import type { NamespaceContext } from '../namespace-context.ts';
import type { DeletionBatch, DeletionTarget } from './deletion-batch.ts';

/**
 * How long the deletion of the accounts waits for the listing of their connections, in ms. On a busy broker the listing
 * takes longer, and until the accounts are deleted released credentials open new connections.
 */
const MAX_LISTING_WAIT_MS = 300;

/**
 * Of 242 connections that were being opened while their user was deleted, one was still open after half a second. Only
 * a listing after this many ms shows that none is left.
 */
const LATE_CONNECTION_MS = 600;

/**
 * Connections of up to this many accounts are listed by account; of more, one listing of all connections costs less.
 */
const MAX_LISTED_BY_ACCOUNT = 16;

const CLOSE_REASONS = {
  expired: 'The namespace of this account has expired.',
  released: 'The namespace of this account was released.',
} as const;

/**
 * Creates the function that deletes the accounts of a batch and closes their connections. After that no client can
 * create anything in these namespaces.
 */
export function createDeleteAccounts({
  config,
  management,
  sleep,
  reporters,
}: Pick<NamespaceContext, 'config' | 'management' | 'sleep' | 'reporters'>): (
  batch: DeletionBatch,
  signal: AbortSignal,
) => Promise<void> {
  const accountsOf = (target: DeletionTarget) => accountNames(config.usernamePrefix, target.namespace);

  const listConnections = async (
    targets: ReadonlySet<DeletionTarget>,
    signal: AbortSignal,
  ): Promise<ListedConnection[]> => {
    const accounts = new Set([...targets].flatMap(accountsOf));
    if (accounts.size <= MAX_LISTED_BY_ACCOUNT) {
      const listed = [...accounts].map((account) => management.listUserConnections(account, { signal }));
      return (await Promise.all(listed)).flat();
    }
    return (await management.listOpenConnections({ signal })).filter(({ user }) => accounts.has(user));
  };

  /** Reports the connections that the deletion of the accounts is about to close, as far as they are listed. */
  const reportConnections = async (targets: ReadonlySet<DeletionTarget>, signal: AbortSignal): Promise<void> => {
    const owners = new Map(
      [...targets].flatMap((target) => {
        const owner = { namespace: target.namespace, reason: reasonOf(target.guard.record) };
        return accountsOf(target).map((account) => [account, owner] as const);
      }),
    );
    // The listing serves the report alone: its failure must not stop the deletion.
    const listed = await listConnections(targets, signal).catch(() => []);
    for (const { name, user } of listed) {
      const owner = owners.get(user);
      if (owner !== undefined) reporters.connectionClosed({ ...owner, account: user, connection: name });
    }
  };

  /** Waits for work that does not reject, but no longer than this. */
  const waitAtMost = async (work: Promise<void>, ms: number, signal: AbortSignal): Promise<void> => {
    const done = new AbortController();
    try {
      await Promise.race([work, sleep(ms, AbortSignal.any([signal, done.signal]))]);
    } finally {
      done.abort();
    }
  };

  const deleteAccounts = async (target: DeletionTarget): Promise<void> => {
    for (const account of accountsOf(target)) {
      await target.guard.call((options) => management.deleteUser(account, options));
    }
  };

  /** Closes connections that opened while their account was being deleted. */
  const closeLateConnections = async (target: DeletionTarget, lateUsers: ReadonlySet<string>): Promise<void> => {
    const { namespace, guard } = target;
    for (const account of accountsOf(target)) {
      if (!lateUsers.has(account)) continue;
      const reason = reasonOf(guard.record);
      const closed = await guard.call((options) =>
        closeConnections(management, account, CLOSE_REASONS[reason], options, sleep),
      );
      for (const connection of closed) reporters.connectionClosed({ namespace, account, connection, reason });
    }
  };

  return async (batch, signal) => {
    const reported = reportConnections(new Set(batch.targets), signal);
    await waitAtMost(reported, MAX_LISTING_WAIT_MS, signal);
    await batch.forEach(deleteAccounts);
    await sleep(LATE_CONNECTION_MS, signal);
    const lateUsers = new Set((await listConnections(batch.targets, signal)).map(({ user }) => user));
    await batch.forEach((target) => closeLateConnections(target, lateUsers));
    await reported;
  };
}

function reasonOf(record: NamespaceRecord): DeletionReason {
  return record.deletionReason ?? 'expired';
}
