import { forEachConcurrently } from '../util/concurrency.ts';
import type { NamespaceRecord } from '../store/namespace-record.ts';
import type { Backoff, Work } from './backoff.ts';

const FIRST_LIMIT = 1000;

/**
 * The records that something can be done about, of those that are due. What waits at the head of the list never hides
 * what comes after it: the list is read further until something is found, or to its end.
 */
export async function findDueNamespaces(
  listDue: (limit: number) => Promise<NamespaceRecord[]>,
  isActionable: (record: NamespaceRecord) => boolean,
): Promise<NamespaceRecord[]> {
  for (let limit = FIRST_LIMIT; ; limit *= 2) {
    const due = await listDue(limit);
    const actionable = due.filter(isActionable);
    if (actionable.length > 0 || due.length < limit) return actionable;
  }
}

/** How {@link forEachWithBackoff} works. */
export interface ForEachOptions {
  readonly work: Work;
  readonly backoff: Backoff;
  /** How many at once. */
  readonly width: number;
  readonly signal: AbortSignal;
}

/**
 * Does one step for each of these namespaces. One that fails is tried again later and stops none of the others; when
 * only failures come, it is not the namespaces that are broken, and the last error is thrown.
 *
 * @returns for how many the step returned true.
 */
export async function forEachWithBackoff<T extends { readonly namespace: string }>(
  items: Iterable<T>,
  { work, backoff, width, signal }: ForEachOptions,
  step: (item: T) => Promise<boolean>,
): Promise<number> {
  let done = 0;
  let failuresInARow = 0;
  await forEachConcurrently(items, width, async (item) => {
    signal.throwIfAborted();
    try {
      if (await step(item)) done += 1;
      failuresInARow = 0;
      backoff.succeeded(work, item.namespace);
    } catch (error) {
      if (signal.aborted) throw error;
      backoff.failed(work, item.namespace, error);
      failuresInARow += 1;
      if (failuresInARow >= width) throw error;
    }
  });
  return done;
}
