import { formatInstant } from '../../contract/fields.ts';
import { AgentError } from '../../util/agent-errors.ts';
import { matchesAny } from '../../util/name-pattern.ts';
import { type Moment, momentOf } from '../../util/clock.ts';
import type { DeletionBlock } from '../../store/namespace-record.ts';
import type { NamespaceContext } from '../namespace-context.ts';
import { listOwnedObjects, type OwnedObjects } from '../owned-objects.ts';
import { toTombstone } from './decide-deletion.ts';
import { createDeleteAccounts } from './delete-accounts.ts';
import { createDeleteObjects } from './delete-objects.ts';
import { createDeletionBatch, type DeletionBatch, type DeletionTarget } from './deletion-batch.ts';
import { describeBlock, hasBlock, withBlock } from './deletion-block.ts';
import { guardDeletion } from './deletion-guard.ts';

/**
 * Deletes everything that these namespaces own and writes their tombstones. Namespaces that are not `expiring` are
 * skipped; what is missing already counts as deleted. One that fails is reported and tried again later, and stops none
 * of the rest. Rejects when the broker or the store does not work at all.
 */
export type DeleteNamespaces = (namespaces: readonly string[], signal: AbortSignal) => Promise<void>;

/**
 * Queues and exchanges are listed at most this often: a user that keeps declaring them is no account of the namespace.
 */
const MAX_LISTINGS = 10;

/**
 * Creates the deletion of an installation. It deletes in an order in which nothing can come back: accounts, their
 * connections, queues and exchanges until none is listed any more, tombstone. Queues and exchanges of a namespace that
 * was reserved since its claim stay. While an operator exempts a queue, it stays and the tombstone is not written.
 */
export function createDeletion(
  context: Pick<
    NamespaceContext,
    | 'config'
    | 'store'
    | 'management'
    | 'cluster'
    | 'clock'
    | 'bounds'
    | 'sleep'
    | 'intervals'
    | 'exempt'
    | 'backoff'
    | 'reporters'
  >,
): DeleteNamespaces {
  const { config, store, management, cluster, clock, bounds, exempt, backoff, reporters } = context;
  const deleteAccounts = createDeleteAccounts(context);
  const deleteObjects = createDeleteObjects(context);

  const openTarget = async (namespace: string, signal: AbortSignal): Promise<DeletionTarget | undefined> => {
    const readAt = momentOf(clock);
    const record = await store.get(namespace);
    if (record?.state !== 'expiring') return undefined;
    return {
      namespace,
      guard: guardDeletion(context, record, readAt, signal),
      queues: new Set(),
      exchanges: new Set(),
      notFound: new Set(),
    };
  };

  const writeTombstone = async (
    { guard, namespace, queues, exchanges }: DeletionTarget,
    since: Moment,
    signal: AbortSignal,
  ): Promise<void> => {
    await guard.permit();
    if (!(await cluster.confirm(since, signal))) throw mayBeLost(namespace);
    const record = toTombstone(guard.record, bounds.latestMs());
    if (await store.replace(record, guard.record.revision)) {
      reporters.namespaceDeleted(record, queues.size, exchanges.size);
      return;
    }
    await guard.readAgain();
    throw new AgentError('Contended', `Another agent changed the record of ${namespace} while it was being deleted.`);
  };

  /** Records what a deletion waits for, for those who read the namespace or claim it. The next attempt does it, too. */
  const recordBlock = async ({ guard }: DeletionTarget, block: DeletionBlock | undefined): Promise<void> => {
    if (hasBlock(guard.record, block)) return;
    try {
      await guard.permit();
      const { record } = guard;
      if (await store.replace(withBlock(record, block), record.revision)) await guard.readAgain();
    } catch {
      // Another agent was faster, or the store fails, which the next step finds out.
    }
  };

  /** Fails the targets of which nothing is left but what cannot be deleted: its node is down. */
  const failBlocked = async (
    batch: DeletionBatch,
    owned: ReadonlyMap<string, OwnedObjects>,
    signal: AbortSignal,
  ): Promise<void> => {
    const stuck = [...batch.targets].filter(({ namespace, notFound }) =>
      namesIn(owned.get(namespace)).every((name) => notFound.has(name)),
    );
    if (stuck.length === 0) return;
    const down = await management.listDownQueues(config.vhost, { signal });
    for (const target of stuck) {
      const queues = new Set(owned.get(target.namespace)?.queues);
      const found = down.find(({ name }) => queues.has(name));
      if (found === undefined) continue;
      const block = { queue: found.name, node: found.node };
      await recordBlock(target, block);
      batch.fail(target, blocked(target.namespace, block));
    }
  };

  /**
   * Postpones the targets of which nothing is left but queues that an operator exempted.
   *
   * @returns what may be deleted
   */
  const postponeExempt = async (
    batch: DeletionBatch,
    owned: ReadonlyMap<string, OwnedObjects>,
  ): Promise<ReadonlyMap<string, OwnedObjects>> => {
    if (owned.size === 0) return owned;
    const exemptions = await exempt.read();
    if (exemptions.size === 0) return owned;
    const deletable = new Map(
      [...owned].map(([namespace, { queues, exchanges }]) => [
        namespace,
        { queues: queues.filter((name) => !exemptions.has(name)), exchanges },
      ]),
    );
    for (const target of batch.targets) {
      const exemption = owned
        .get(target.namespace)
        ?.queues.map((name) => exemptions.get(name))
        .find(Boolean);
      if (exemption === undefined || namesIn(deletable.get(target.namespace)).length > 0) continue;
      const { queue, untilMs } = exemption;
      await recordBlock(target, { queue, exemptUntil: formatInstant(untilMs) });
      batch.postpone(target);
    }
    return deletable;
  };

  /** Deletes what is listed, and writes the tombstones of namespaces of which nothing is listed. */
  const deleteUntilNoneIsListed = async (batch: DeletionBatch, since: Moment, signal: AbortSignal): Promise<void> => {
    for (let listing = 1; batch.targets.size > 0; listing += 1) {
      const names = [...batch.targets].map(({ namespace }) => namespace);
      const namespaces = new Set(names.filter((name) => !matchesAny(config.reservedNamespaces, name)));
      const owned = await listOwnedObjects(management, config.vhost, namespaces, signal);
      await batch.forEach(async (target) => {
        if (owned.has(target.namespace)) return;
        await writeTombstone(target, since, signal);
        batch.complete(target);
      });
      const deletable = await postponeExempt(batch, owned);
      if (listing > 1) await failBlocked(batch, deletable, signal);
      if (listing > MAX_LISTINGS) {
        for (const target of batch.targets) {
          await recordBlock(target, undefined);
          batch.fail(target, objectsRemain(target, deletable.get(target.namespace)));
        }
        return;
      }
      const targets = [...batch.targets];
      await deleteObjects(batch, deletable);
      // What it failed for now is not what it waited for before.
      for (const target of targets) if (!batch.targets.has(target)) await recordBlock(target, undefined);
    }
  };

  return async (namespaces, signal) => {
    const since = await cluster.permit(signal);
    const batch = createDeletionBatch(backoff, config.managementConcurrency, signal);
    await batch.open(namespaces, (namespace) => openTarget(namespace, signal));
    if (batch.targets.size === 0) return;
    await deleteAccounts(batch, signal);
    await deleteUntilNoneIsListed(batch, since, signal);
  };
}

/** Why objects are listed however often they are deleted: they cannot be deleted, or come back. */
function objectsRemain({ namespace, notFound }: DeletionTarget, owned: OwnedObjects | undefined): AgentError {
  const undeletable = namesIn(owned).find((name) => notFound.has(name));
  return new AgentError(
    'BrokerUnavailable',
    undeletable === undefined
      ? `Queues or exchanges of ${namespace} exist again whenever they are deleted: find the user that declares them.`
      : `RabbitMQ lists ${undeletable} and answers 404 to its deletion, and names no node that is down: see RabbitMQ's log. The deletion of ${namespace} is tried again.`,
  );
}

function mayBeLost(namespace: string): AgentError {
  return new AgentError(
    'BrokerUnavailable',
    `Nodes of RabbitMQ stopped, started or did not answer while ${namespace} was deleted, and may not have all of that. The deletion is repeated.`,
  );
}

function blocked(namespace: string, block: DeletionBlock & { readonly node: string }): AgentError {
  return new AgentError(
    'BrokerUnavailable',
    `The deletion of ${namespace} waits: ${describeBlock(block)}. Start that node, or, if it is lost for good, run "rabbitmqctl forget_cluster_node ${block.node}" on a node that runs.`,
  );
}

function namesIn(owned: OwnedObjects | undefined): string[] {
  return [...(owned?.queues ?? []), ...(owned?.exchanges ?? [])];
}
