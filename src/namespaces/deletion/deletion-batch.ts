import { isAgentError } from '../../util/agent-errors.ts';
import { forEachConcurrently } from '../../util/concurrency.ts';
import type { Backoff } from '../backoff.ts';
import { DeletedByOtherAgent, type DeletionGuard } from './deletion-guard.ts';

/** One namespace that is being deleted. */
export interface DeletionTarget {
  readonly namespace: string;
  readonly guard: DeletionGuard;
  /** The names of the queues and exchanges that this agent deleted. */
  readonly queues: Set<string>;
  readonly exchanges: Set<string>;
  /** The names for which RabbitMQ answered 404: another agent deleted them, or they cannot be deleted now. */
  readonly notFound: Set<string>;
}

/** The namespaces that are deleted together. One that fails leaves the batch and stops none of the rest. */
export interface DeletionBatch {
  /** Those that are not deleted yet and have not failed. */
  readonly targets: ReadonlySet<DeletionTarget>;
  /** Adds one for each of these names for which `open` returns a target. */
  open(namespaces: readonly string[], open: (namespace: string) => Promise<DeletionTarget | undefined>): Promise<void>;
  /** Takes a step for each target, concurrently. A step that throws fails its target. */
  forEach(step: (target: DeletionTarget) => Promise<void>): Promise<void>;
  /** The namespace is deleted. */
  complete(target: DeletionTarget): void;
  /** The deletion goes on later, which is no failure. */
  postpone(target: DeletionTarget): void;
  /**
   * The deletion failed and is tried again later.
   *
   * @throws `error` when the signal is aborted, or after as many failures in a row as there are concurrent calls: then
   *   the broker or the store is broken and not the namespaces.
   */
  fail(target: DeletionTarget, error: unknown): void;
}

/** Creates an empty batch. */
export function createDeletionBatch(backoff: Backoff, concurrency: number, signal: AbortSignal): DeletionBatch {
  const targets = new Set<DeletionTarget>();
  let failuresInARow = 0;

  const recordFailure = (namespace: string, error: unknown): void => {
    if (error instanceof DeletedByOtherAgent) return;
    // A split of RabbitMQ is no failure of a namespace.
    if (signal.aborted || isAgentError(error, 'BrokerSplit')) throw error;
    backoff.failed('deletion', namespace, error);
    failuresInARow += 1;
    if (failuresInARow >= concurrency) throw error;
  };
  const fail = (target: DeletionTarget, error: unknown): void => {
    targets.delete(target);
    recordFailure(target.namespace, error);
  };

  return {
    targets,
    async open(namespaces, open) {
      await forEachConcurrently(namespaces, concurrency, async (namespace) => {
        try {
          const target = await open(namespace);
          if (target !== undefined) targets.add(target);
        } catch (error) {
          recordFailure(namespace, error);
        }
      });
    },
    async forEach(step) {
      await forEachConcurrently([...targets], concurrency, async (target) => {
        try {
          await step(target);
          failuresInARow = 0;
        } catch (error) {
          fail(target, error);
        }
      });
    },
    complete(target) {
      targets.delete(target);
      backoff.succeeded('deletion', target.namespace);
    },
    postpone: (target) => void targets.delete(target),
    fail,
  };
}
