import { formatInstant } from '../contract/fields.ts';
import { compareByDepth, isInAlert, QUEUE_KEYS, type QueueOrder, queueValue } from '../queues/queue-report.ts';
import { type SortKey, type SortOrder, sortedBy } from '../util/sorted-by.ts';
import type { DepthTrends } from './depth-history.ts';
import type { DepthWatch } from './depth-watch.ts';
import type { EndpointReads } from './endpoint.ts';
import { createKeptLists, isFound, pageOf } from './list-page.ts';
import type { QueueRow, QueuesQuery } from './queue-schemas.ts';
import type { QueueTable, ReportedQueue } from './queue-table.ts';
import type { Snapshot } from './snapshot.ts';

type QueueSort = QueuesQuery['sort'];

/** What sorts the columns that reports of the command line lack. */
const MORE_KEYS: Readonly<
  Record<Exclude<QueueSort, QueueOrder>, { readonly of: (row: ReportedQueue) => SortKey; readonly order: SortOrder }>
> = {
  namespace: { of: ({ namespace }) => namespace, order: 'asc' },
  state: { of: ({ state }) => state, order: 'asc' },
  ready: { of: ({ ready }) => ready, order: 'desc' },
  unacknowledged: { of: ({ unacknowledged }) => unacknowledged, order: 'desc' },
  consumers: { of: ({ consumers }) => consumers, order: 'desc' },
};

const KEYS = { ...QUEUE_KEYS, ...MORE_KEYS };

/** Reads pages of queues. */
export function createReadQueues(table: Snapshot<QueueTable>): EndpointReads['queues'] {
  const kept = createKeptLists<ReportedQueue>();
  return async ({ offset, limit, ...query }) => {
    const known = await table.get();
    const found = kept(known, JSON.stringify(query), () => findQueues(known.rows, query));
    return {
      at: formatInstant(known.atMs),
      total: found.length,
      trendAt: known.trends.seenMs.map(formatInstant),
      items: pageOf(found, { offset, limit }).map((row) => queueRowOf(row, known.trends)),
    };
  };
}

/** Those that match, in the order that is wanted. */
function findQueues(
  rows: readonly ReportedQueue[],
  { sort, order, search, namespace, state }: Omit<QueuesQuery, 'offset' | 'limit'>,
): ReportedQueue[] {
  const isWanted = (row: ReportedQueue): boolean =>
    (namespace === undefined || row.namespace === namespace) &&
    (state === undefined || row.state === state || (state === 'alert' && isInAlert(row))) &&
    isFound(search, row.queue);
  const key = KEYS[sort];
  return sortedBy(rows.filter(isWanted), key.of, order ?? key.order, compareByDepth);
}

/** What every place says of a queue, and its limits. */
function queueFieldsOf(row: ReportedQueue) {
  const { ready, unacknowledged, consumers } = row;
  return {
    ...queueValue(row),
    ...(ready === undefined ? {} : { ready }),
    ...(unacknowledged === undefined ? {} : { unacknowledged }),
    ...(consumers === undefined ? {} : { consumers }),
  };
}

/** A queue in a list. */
export function queueRowOf(row: ReportedQueue, trends: DepthTrends): QueueRow {
  const { limits: _, ...fields } = queueFieldsOf(row);
  return { ...fields, trend: trends.of(row.queue) };
}

/** Reads the history of one queue. */
export function createReadQueueHistory(
  table: Snapshot<QueueTable>,
  { history }: Pick<DepthWatch, 'history'>,
): EndpointReads['queueHistory'] {
  return async ({ queue }) => {
    const { atMs, rows } = await table.get();
    const row = rows.find((one) => one.queue === queue);
    if (row === undefined) return undefined;
    return {
      at: formatInstant(atMs),
      ...queueFieldsOf(row),
      points: history
        .points(queue)
        .map(({ seenMs, messages, ready }) => [
          formatInstant(seenMs),
          messages ?? null,
          ready ?? null,
          messages === undefined || ready === undefined ? null : Math.max(0, messages - ready),
        ]),
    };
  };
}
