import { isAgentError } from '../util/agent-errors.ts';
import { forEachConcurrently } from '../util/concurrency.ts';
import type { NamespaceRecord } from '../store/namespace-record.ts';
import type { Backoff, Work } from './backoff.ts';

const FIRST_LIMIT = 1000;

/**
 * Those due records that are actionable. Records at the head of the list that are not never hide those behind them: the
 * list is read further until an actionable one is found, or to its end.
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

interface ForEachOptions {
  readonly work: Work;
  readonly backoff: Backoff;
  readonly concurrency: number;
  readonly signal: AbortSignal;
}

/**
 * Takes one step for each of these namespaces. A failure delays only its namespace. After as many failures in a row as
 * there are concurrent steps the store or the broker is broken and not the namespaces, so the last error is thrown.
 *
 * @returns for how many namespaces the step returned true.
 */
export async function forEachWithBackoff<T extends { readonly namespace: string }>(
  items: Iterable<T>,
  { work, backoff, concurrency, signal }: ForEachOptions,
  step: (item: T) => Promise<boolean>,
): Promise<number> {
  let done = 0;
  let failuresInARow = 0;
  await forEachConcurrently(items, concurrency, async (item) => {
    signal.throwIfAborted();
    try {
      if (await step(item)) done += 1;
      failuresInARow = 0;
      backoff.succeeded(work, item.namespace);
    } catch (error) {
      // A split of RabbitMQ is no failure of a namespace.
      if (signal.aborted || isAgentError(error, 'BrokerSplit')) throw error;
      backoff.failed(work, item.namespace, error);
      failuresInARow += 1;
      if (failuresInARow >= concurrency) throw error;
    }
  });
  return done;
}
