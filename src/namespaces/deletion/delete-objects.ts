import { forEachConcurrently } from '../../util/concurrency.ts';
import type { NamespaceContext } from '../namespace-context.ts';
import type { OwnedObjects } from '../owned-objects.ts';
import type { DeletionBatch, DeletionTarget } from './deletion-batch.ts';
import { DeletedByOtherAgent } from './deletion-guard.ts';

/** One queue or exchange to delete. */
interface ObjectToDelete {
  readonly target: DeletionTarget;
  readonly kind: 'queue' | 'exchange';
  readonly name: string;
}

/**
 * Creates the function that deletes the queues and exchanges of a batch. A failure does not stop the rest of the same
 * namespace; when all objects were tried, it fails the target. A queue that an operator exempted stays.
 */
export function createDeleteObjects({
  config,
  management,
  exempt,
}: Pick<NamespaceContext, 'config' | 'management' | 'exempt'>): (
  batch: DeletionBatch,
  owned: ReadonlyMap<string, OwnedObjects>,
) => Promise<void> {
  const { vhost, managementConcurrency: concurrency } = config;

  const deleteObject = async ({ target, kind, name }: ObjectToDelete): Promise<void> => {
    if (kind === 'queue' && (await exempt.read()).has(name)) return;
    const isDeleted = await target.guard.call((options) =>
      kind === 'queue' ? management.deleteQueue(vhost, name, options) : management.deleteExchange(vhost, name, options),
    );
    if (!isDeleted) {
      target.notFound.add(name);
      return;
    }
    target.notFound.delete(name);
    (kind === 'queue' ? target.queues : target.exchanges).add(name);
  };

  return async (batch, owned) => {
    const objects = [...batch.targets].flatMap((target) => objectsOf(target, owned.get(target.namespace)));
    const failed = new Map<DeletionTarget, unknown>();
    let failuresInARow = 0;
    await forEachConcurrently(objects, concurrency, async (object) => {
      const { target } = object;
      const isOver = failed.get(target) instanceof DeletedByOtherAgent;
      // When every call fails the broker is broken: thousands more would fail, too.
      if (isOver || failuresInARow >= concurrency) return;
      try {
        await deleteObject(object);
        failuresInARow = 0;
      } catch (error) {
        failed.set(target, error);
        if (!(error instanceof DeletedByOtherAgent)) failuresInARow += 1;
      }
    });
    for (const [target, error] of failed) batch.fail(target, error);
  };
}

function objectsOf(target: DeletionTarget, owned: OwnedObjects | undefined): ObjectToDelete[] {
  const { queues, exchanges } = owned ?? { queues: [], exchanges: [] };
  return [
    ...queues.map((name) => ({ target, kind: 'queue' as const, name })),
    ...exchanges.map((name) => ({ target, kind: 'exchange' as const, name })),
  ];
}
