import { forEachConcurrently } from '../../util/concurrency.ts';
import type { ListedConnection } from '../../broker/management/management.ts';
import { momentOf } from '../../util/clock.ts';
import { AgentError, isAgentError } from '../../util/agent-errors.ts';
import type { EndReason, NamespaceRecord } from '../../store/namespace-record.ts';
import { accountName } from '../accounts/account-names.ts';
import { closeConnections } from '../connections/close-connections.ts';
import { toTombstone } from './decide-deletion.ts';
import { DeletedByOther, type DeletionGuard, guardDeletion } from './deletion-guard.ts';
import type { NamespaceContext } from '../namespace-context.ts';
import { fenceMs } from '../timing.ts';

/**
 * Deletes all that these namespaces own, and writes their tombstones. Those that are not `expiring` are passed over; what
 * is missing already is deleted already. One that fails is reported and tried again later, and stops none of the others.
 * Rejects when the broker or the store does not work at all.
 */
export type DeleteNamespaces = (namespaces: readonly string[], signal: AbortSignal) => Promise<void>;

/** One namespace on its way. */
interface Ending {
  readonly namespace: string;
  readonly guard: DeletionGuard;
  readonly queues: Set<string>;
  readonly exchanges: Set<string>;
}

/**
 * Of 242 connections that were being opened while their user was deleted one still lived after half a second: only what
 * is seen after that shows that none is left.
 */
const LATE_CONNECTION_MS = 600;

/**
 * How long the accounts wait for the listing of their connections, in ms. On a busy broker it takes longer, and until the
 * accounts are deleted released credentials open new ones.
 */
const LISTING_PATIENCE_MS = 300;

/** Of so many accounts the connections are asked for one by one; of more, one listing of all connections costs less. */
const ACCOUNTS_ASKED_SINGLY = 16;

/** How often queues and exchanges are listed, at most: whoever keeps making them is no account of the namespace. */
const MOST_LISTINGS = 10;

const REASONS = {
  expired: 'The namespace of this account has expired.',
  released: 'The namespace of this account was released.',
} as const;

/**
 * Makes the deletion of an installation. In an order in which nothing can come back: accounts, their connections, queues
 * and exchanges until none is listed any more, tombstone.
 */
export function createDeletion(
  context: Pick<
    NamespaceContext,
    'config' | 'store' | 'management' | 'clock' | 'bounds' | 'sleep' | 'intervals' | 'backoff' | 'reporters'
  >,
): DeleteNamespaces {
  const { config, store, management, clock, bounds, sleep, backoff, reporters } = context;
  const { vhost, usernamePrefix, managementConcurrency: width } = config;
  const fence = fenceMs(context.intervals);

  const open = async (namespace: string, signal: AbortSignal): Promise<Ending | undefined> => {
    const readAt = momentOf(clock);
    const record = await store.get(namespace);
    if (record?.state !== 'expiring') return undefined;
    const guard = guardDeletion({ store, clock, fenceMs: fence }, record, readAt, signal);
    return { namespace, guard, queues: new Set(), exchanges: new Set() };
  };

  const accountsOf = (namespace: string): string[] =>
    ([1, 2] as const).map((slot) => accountName(usernamePrefix, namespace, slot));

  /** The connections that these namespaces have now. */
  const listOpen = async (endings: ReadonlySet<Ending>, signal: AbortSignal): Promise<ListedConnection[]> => {
    const accounts = new Set([...endings].flatMap(({ namespace }) => accountsOf(namespace)));
    if (accounts.size <= ACCOUNTS_ASKED_SINGLY) {
      return (
        await Promise.all([...accounts].map((account) => management.listUserConnections(account, { signal })))
      ).flat();
    }
    return (await management.listOpenConnections({ signal })).filter(({ user }) => accounts.has(user));
  };

  /** Tells of the connections that the deletion of the accounts is about to close, as far as they are listed. */
  const tellConnections = async (endings: ReadonlySet<Ending>, signal: AbortSignal): Promise<void> => {
    const owners = new Map(
      [...endings].flatMap(({ namespace, guard }) =>
        accountsOf(namespace).map((account) => [account, { namespace, reason: reasonOf(guard.record) }] as const),
      ),
    );
    // A listing for the telling alone: that it fails must not hold up the deletion.
    const listed = await listOpen(endings, signal).catch(() => []);
    for (const { name, user } of listed) {
      const owner = owners.get(user);
      if (owner !== undefined) reporters.connectionClosed({ ...owner, account: user, connection: name });
    }
  };

  /** Waits for work that does not reject, but no longer than this. */
  const atMost = async (work: Promise<void>, ms: number, signal: AbortSignal): Promise<void> => {
    const done = new AbortController();
    try {
      await Promise.race([work, sleep(ms, AbortSignal.any([signal, done.signal]))]);
    } finally {
      done.abort();
    }
  };

  const deleteAccounts = async ({ namespace, guard }: Ending): Promise<void> => {
    for (const account of accountsOf(namespace)) {
      await sent(guard, (options) => management.deleteUser(account, options));
    }
  };

  /** Closes what slipped in while its account was deleted, for the accounts of which something was seen. */
  const closeLate = async ({ namespace, guard }: Ending, late: ReadonlySet<string>): Promise<void> => {
    for (const account of accountsOf(namespace)) {
      if (!late.has(account)) continue;
      const reason = reasonOf(guard.record);
      const closed = await sent(guard, (options) =>
        closeConnections(management, account, REASONS[reason], options, sleep),
      );
      for (const connection of closed) reporters.connectionClosed({ namespace, account, connection, reason });
    }
  };

  /** What of these namespaces there is now, by namespace. */
  const listOwned = async (endings: ReadonlySet<Ending>, signal: AbortSignal): Promise<Map<string, Owned>> => {
    const owned = new Map<string, Owned>(
      [...endings].map(({ namespace }) => [namespace, { queues: [], exchanges: [] }]),
    );
    const [queues, exchanges] = await Promise.all([
      management.listQueueNames(vhost, { signal }),
      management.listExchanges(vhost, { signal }),
    ]);
    for (const name of queues) owned.get(ownerOf('queue', name))?.queues.push(name);
    for (const { name } of exchanges) owned.get(ownerOf('exchange', name))?.exchanges.push(name);
    return owned;
  };

  const deleteOne = async (ending: Ending, kind: 'queue' | 'exchange', name: string): Promise<void> => {
    const { guard, queues, exchanges } = ending;
    const isDeleted = await sent(guard, (options) =>
      kind === 'queue' ? management.deleteQueue(vhost, name, options) : management.deleteExchange(vhost, name, options),
    );
    if (isDeleted) (kind === 'queue' ? queues : exchanges).add(name);
  };

  const bury = async ({ guard, namespace, queues, exchanges }: Ending): Promise<void> => {
    await guard.permit();
    const record = toTombstone(guard.record, bounds.latestMs());
    if (await store.replace(record, guard.record.revision)) {
      reporters.namespaceDeleted(record, queues.size, exchanges.size);
      return;
    }
    await guard.readAgain();
    throw new AgentError('Contended', `The record of ${namespace} was changed while it was deleted.`);
  };

  return async (namespaces, signal) => {
    const endings = new Set<Ending>();
    let failuresInARow = 0;
    const fail = (namespace: string, error: unknown): void => {
      if (error instanceof DeletedByOther) return;
      if (signal.aborted) throw error;
      backoff.failed('deletion', namespace, error);
      failuresInARow += 1;
      if (failuresInARow >= width) throw error;
    };
    /** Takes a step for each; what fails is left out of those that follow. */
    const each = async (step: (ending: Ending) => Promise<void>): Promise<void> => {
      await forEachConcurrently([...endings], width, async (ending) => {
        try {
          await step(ending);
          failuresInARow = 0;
        } catch (error) {
          endings.delete(ending);
          fail(ending.namespace, error);
        }
      });
    };

    await forEachConcurrently(namespaces, width, async (namespace) => {
      try {
        const ending = await open(namespace, signal);
        if (ending !== undefined) endings.add(ending);
      } catch (error) {
        fail(namespace, error);
      }
    });
    if (endings.size === 0) return;
    const told = tellConnections(new Set(endings), signal);
    await atMost(told, LISTING_PATIENCE_MS, signal);
    await each(deleteAccounts);
    await sleep(LATE_CONNECTION_MS, signal);
    const late = new Set((await listOpen(endings, signal)).map(({ user }) => user));
    await each((ending) => closeLate(ending, late));
    await told;

    for (let listing = 1; endings.size > 0; listing += 1) {
      const owned = await listOwned(endings, signal);
      const ended = new Set([...endings].filter(({ namespace }) => isEmpty(owned.get(namespace))));
      await each(async (ending) => {
        if (!ended.has(ending)) return;
        await bury(ending);
        endings.delete(ending);
        backoff.succeeded('deletion', ending.namespace);
      });
      if (listing > MOST_LISTINGS) {
        for (const { namespace } of endings) fail(namespace, comesBack(namespace));
        return;
      }
      const doomed = [...endings].flatMap((ending) => {
        const { queues, exchanges } = owned.get(ending.namespace) ?? { queues: [], exchanges: [] };
        return [
          ...queues.map((name) => ({ ending, kind: 'queue' as const, name })),
          ...exchanges.map((name) => ({ ending, kind: 'exchange' as const, name })),
        ];
      });
      const failed = new Map<Ending, unknown>();
      let deletesFailed = 0;
      await forEachConcurrently(doomed, width, async ({ ending, kind, name }) => {
        const isOver = failed.get(ending) instanceof DeletedByOther;
        // When none works any more it is the broker that is broken: thousands of others would not work either.
        if (isOver || deletesFailed >= width) return;
        try {
          await deleteOne(ending, kind, name);
          deletesFailed = 0;
        } catch (error) {
          // The others of the same namespace are deleted all the same.
          failed.set(ending, error);
          if (!(error instanceof DeletedByOther)) deletesFailed += 1;
        }
      });
      for (const [ending, error] of failed) {
        endings.delete(ending);
        fail(ending.namespace, error);
      }
    }
  };
}

interface Owned {
  readonly queues: string[];
  readonly exchanges: string[];
}

function isEmpty(owned: Owned | undefined): boolean {
  return owned === undefined || owned.queues.length + owned.exchanges.length === 0;
}

/** The namespace in a name such as `queue/<namespace>/…`; the empty string, which none has, in any other. */
function ownerOf(kind: 'queue' | 'exchange', name: string): string {
  const [first, namespace, ...rest] = name.split('/', 3);
  return first === kind && namespace !== undefined && rest.length > 0 ? namespace : '';
}

/** Makes a call with a permit, and with another one where the first ran out while the call was waiting, or once it failed. */
async function sent<T>(
  guard: DeletionGuard,
  call: (options: Awaited<ReturnType<DeletionGuard['permit']>>) => Promise<T>,
): Promise<T> {
  for (let failures = 0; ; ) {
    try {
      return await call(await guard.permit());
    } catch (error) {
      if (isAgentError(error, 'WindowClosed')) continue;
      failures += 1;
      // RabbitMQ may fail over what another agent deletes at the same moment; then it is gone at the second try.
      if (failures > 1 || !isAgentError(error, 'BrokerUnavailable')) throw error;
    }
  }
}

function reasonOf(record: NamespaceRecord): EndReason {
  return record.endReason ?? 'expired';
}

function comesBack(namespace: string): AgentError {
  return new AgentError(
    'BrokerUnavailable',
    `Queues or exchanges of ${namespace} are there again whenever they are deleted: find the user that declares them.`,
  );
}
