import { AgentError } from '../../util/agent-errors.ts';
import { matchesAny } from '../../util/name-pattern.ts';
import { momentOf } from '../../util/clock.ts';
import type { NamespaceContext } from '../namespace-context.ts';
import { listOwnedObjects, type OwnedObjects } from '../owned-objects.ts';
import { toTombstone } from './decide-deletion.ts';
import { createDeleteAccounts } from './delete-accounts.ts';
import { createDeleteObjects } from './delete-objects.ts';
import { createDeletionBatch, type DeletionBatch, type DeletionTarget } from './deletion-batch.ts';
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
 * was reserved since its claim stay.
 */
export function createDeletion(
  context: Pick<
    NamespaceContext,
    'config' | 'store' | 'management' | 'clock' | 'bounds' | 'sleep' | 'intervals' | 'backoff' | 'reporters'
  >,
): DeleteNamespaces {
  const { config, store, management, clock, bounds, backoff, reporters } = context;
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

  const writeTombstone = async ({ guard, namespace, queues, exchanges }: DeletionTarget): Promise<void> => {
    await guard.permit();
    const record = toTombstone(guard.record, bounds.latestMs());
    if (await store.replace(record, guard.record.revision)) {
      reporters.namespaceDeleted(record, queues.size, exchanges.size);
      return;
    }
    await guard.readAgain();
    throw new AgentError('Contended', `Another agent changed the record of ${namespace} while it was being deleted.`);
  };

  /** Deletes what is listed, and writes the tombstones of namespaces of which nothing is listed. */
  const deleteUntilNoneIsListed = async (batch: DeletionBatch, signal: AbortSignal): Promise<void> => {
    for (let listing = 1; batch.targets.size > 0; listing += 1) {
      const names = [...batch.targets].map(({ namespace }) => namespace);
      const namespaces = new Set(names.filter((name) => !matchesAny(config.reservedNamespaces, name)));
      const owned = await listOwnedObjects(management, config.vhost, namespaces, signal);
      await batch.forEach(async (target) => {
        if (owned.has(target.namespace)) return;
        await writeTombstone(target);
        batch.complete(target);
      });
      if (listing > MAX_LISTINGS) {
        for (const target of batch.targets) batch.fail(target, objectsRemain(target, owned.get(target.namespace)));
        return;
      }
      await deleteObjects(batch, owned);
    }
  };

  return async (namespaces, signal) => {
    const batch = createDeletionBatch(backoff, config.managementConcurrency, signal);
    await batch.open(namespaces, (namespace) => openTarget(namespace, signal));
    if (batch.targets.size === 0) return;
    await deleteAccounts(batch, signal);
    await deleteUntilNoneIsListed(batch, signal);
  };
}

/** Why objects are listed however often they are deleted: they cannot be deleted, or come back. */
function objectsRemain({ namespace, notFound }: DeletionTarget, owned: OwnedObjects | undefined): AgentError {
  const undeletable = [...(owned?.queues ?? []), ...(owned?.exchanges ?? [])].find((name) => notFound.has(name));
  return new AgentError(
    'BrokerUnavailable',
    undeletable === undefined
      ? `Queues or exchanges of ${namespace} exist again whenever they are deleted: find the user that declares them.`
      : `RabbitMQ lists ${undeletable} and answers 404 to its deletion: the node that holds it is down. Start that node; the deletion of ${namespace} goes on then.`,
  );
}
