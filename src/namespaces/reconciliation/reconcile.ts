import { setMaxListeners } from 'node:events';
import { setImmediate } from 'node:timers/promises';
import { contractNames } from '../../contract/names.ts';
import type { NamespaceRecord } from '../../store/namespace-record.ts';
import { namespacePages } from '../../store/paged-listing.ts';
import { accountName, namespaceOfAccount, permissionsOf } from '../accounts/account-names.ts';
import type { SlotNumber } from '../slots.ts';
import { closeOldConnections } from '../connections/close-old-connections.ts';
import { compareAccounts } from './decide-repair.ts';
import { isRecheckDue } from '../revocation/decide-revocation.ts';
import { listAccounts, type ListedAccounts } from '../accounts/list-accounts.ts';
import type { VerifiedHashes } from '../accounts/password-check.ts';
import type { Leftovers } from '../deletion/delete-leftovers.ts';
import type { NamespaceContext } from '../namespace-context.ts';
import { isSettled, type Repair } from './repair.ts';
import { forEachWithBackoff } from '../due-namespaces.ts';

/** What one pass found and did. */
export interface Reconciled {
  /** Records that were compared. */
  readonly namespaces: number;
  /** Namespaces that were looked at afresh because something seemed to differ, and whose repair changed something. */
  readonly repaired: number;
  /** Tombstones of which something was left. */
  readonly leftovers: number;
  /** Foreign bindings that were removed. */
  readonly bindings: number;
  /** Connections that were closed because of their age. */
  readonly connections: number;
  /** Users that are called like accounts and have no record, in order; nobody touches them. */
  readonly unknown: readonly string[];
}

/**
 * Compares all that the broker has of this installation with the store, and puts right what differs. Rejects, after all
 * that could be done is done, with the first failure. It may run several times at once.
 */
export type Reconcile = (signal: AbortSignal) => Promise<Reconciled>;

const PAGE = 500;
const SLOTS: readonly SlotNumber[] = [1, 2];

/** Makes the pass of an installation. Listings are only where to look: what is written is read afresh before that. */
export function createReconcile(
  context: Pick<
    NamespaceContext,
    'config' | 'store' | 'management' | 'keyring' | 'clock' | 'bounds' | 'intervals' | 'backoff' | 'reporters'
  >,
  parts: {
    readonly verified: VerifiedHashes;
    readonly repair: Repair;
    readonly leftovers: Pick<Leftovers, 'delete'>;
    /** Removes foreign bindings; resolves with how many it removed. */
    readonly removeForeignBindings: (signal: AbortSignal) => Promise<number>;
  },
): Reconcile {
  const { config, store, management, keyring, clock, bounds, intervals, backoff, reporters } = context;
  const { id, vhost, usernamePrefix, accountLimits: limits, managementConcurrency: width } = config;
  const agentUser = decodeURIComponent(new URL(config.rabbitmqUrl.reveal()).username);
  /** RabbitMQ users of the agent itself, which are no accounts whatever their names are. */
  const ownUsers = new Set([agentUser, contractNames(id).claimantUser]);
  let lastUnknown = '';

  const namespaceOf = (user: string): string | undefined =>
    ownUsers.has(user) ? undefined : namespaceOfAccount(config, user);

  /** Every record, in pages. Others get the processor in between. */
  async function* records(signal: AbortSignal): AsyncGenerator<NamespaceRecord> {
    for await (const page of namespacePages(store, signal, { limit: PAGE })) {
      yield* page;
      await setImmediate();
    }
  }

  /** Compares every record with the listings. */
  const compare = async (listed: ListedAccounts, listedAtMs: number, signal: AbortSignal): Promise<Compared> => {
    const compared: Compared = { namespaces: 0, suspects: [], tombstones: new Set(), known: new Set() };
    const oldOf = new Set(listed.old.map(({ namespace }) => namespace));
    for await (const record of records(signal)) {
      compared.namespaces += 1;
      const { namespace } = record;
      const names = SLOTS.map((slot) => accountName(usernamePrefix, namespace, slot));
      const [first = '', second = ''] = names;
      if (oldOf.has(namespace) || names.some((name) => listed.users.has(name))) compared.known.add(namespace);
      if (isSettled(record, listedAtMs, intervals)) compared.tombstones.add(namespace);
      if (isRecheckDue(record, bounds.earliestMs())) compared.suspects.push({ namespace });
      else if (record.state === 'active') {
        const permissions = permissionsOf(id, namespace);
        const faults = compareAccounts(record, [listed.seen(first, permissions), listed.seen(second, permissions)], {
          nowMs: clock.nowMs(),
          intervals,
          keyring: keyring,
          permissions,
          limits,
          check: parts.verified.of(record),
        });
        if (faults.length > 0) compared.suspects.push({ namespace });
      }
    }
    parts.verified.forgetUnchecked();
    return compared;
  };

  /** The tombstones of which there is something on the broker. */
  const findLeftovers = async (
    tombstones: ReadonlySet<string>,
    users: Iterable<string>,
    signal: AbortSignal,
  ): Promise<string[]> => {
    if (tombstones.size === 0) return [];
    const [queues, exchanges] = await Promise.all([
      management.listQueueNames(vhost, { signal }),
      management.listExchanges(vhost, { signal }),
    ]);
    const owners = [
      ...[...users].map(namespaceOf),
      ...queues.map((name) => ownerOf('queue', name)),
      ...exchanges.map(({ name }) => ownerOf('exchange', name)),
    ];
    return [...new Set(owners)].filter((owner) => owner !== undefined && tombstones.has(owner)) as string[];
  };

  const tellUnknown = (listed: ListedAccounts, known: ReadonlySet<string>): string[] => {
    const unknown = [...listed.users.keys()].filter((user) => !known.has(namespaceOf(user) ?? '')).toSorted();
    const now = unknown.join(' ');
    if (now !== lastUnknown) reporters.unknownUsersChanged(unknown);
    lastUnknown = now;
    return unknown;
  };

  return async (signal) => {
    // Many calls of the broker listen to it at once.
    setMaxListeners(0, signal);
    const failures: unknown[] = [];
    /** One part of the pass: that it fails does not stop the others. */
    const attempt = async <T>(work: () => Promise<T>, otherwise: T): Promise<T> => {
      try {
        return await work();
      } catch (error) {
        signal.throwIfAborted();
        failures.push(error);
        return otherwise;
      }
    };

    const bindings = await attempt(() => parts.removeForeignBindings(signal), 0);
    const listedAtMs = clock.nowMs();
    const openedBeforeMs = bounds.earliestMs() - config.connectionMaxAgeSeconds * 1000;
    const listed = await listAccounts({ management, config, namespaceOf }, openedBeforeMs, signal);
    const compared = await compare(listed, listedAtMs, signal);
    const unknown = tellUnknown(listed, compared.known);
    const suspects = compared.suspects.filter(({ namespace }) => backoff.ready('repair', namespace));
    const repaired = await attempt(
      () =>
        forEachWithBackoff(suspects, { work: 'repair', backoff, concurrency: width, signal }, ({ namespace }) =>
          parts.repair(namespace, signal),
        ),
      0,
    );
    const leftovers = await attempt(async () => {
      const found = await findLeftovers(compared.tombstones, listed.users.keys(), signal);
      if (found.length > 0) await parts.leftovers.delete(found, signal);
      return found.length;
    }, 0);
    // Who is no account of a namespace may stay connected for as long as it likes.
    const old = listed.old.filter(({ namespace }) => compared.known.has(namespace));
    const connections = await attempt(
      () =>
        closeOldConnections(
          management,
          old,
          (closed) => reporters.connectionClosed({ ...closed, reason: 'age' }),
          signal,
        ),
      0,
    );
    if (failures.length > 0) throw failures[0];
    return { namespaces: compared.namespaces, repaired, leftovers, bindings, connections, unknown };
  };
}

interface Compared {
  namespaces: number;
  readonly suspects: { readonly namespace: string }[];
  readonly tombstones: Set<string>;
  /** Namespaces with a record, as far as users or old connections of theirs were listed. */
  readonly known: Set<string>;
}

/** The namespace in a name such as `queue/<namespace>/…`; undefined in any other. */
function ownerOf(kind: 'queue' | 'exchange', name: string): string | undefined {
  const [first, namespace, rest] = name.split('/', 3);
  return first === kind && rest !== undefined ? namespace : undefined;
}
