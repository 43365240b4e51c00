import type { AuditQuery, AuditRecord, AuditStore } from './audit-records.ts';
import type { NamespaceRecord } from './namespace-record.ts';
import type { QueueAlert, QueueAlertStore } from './queue-alert-records.ts';
import type { QueueExemption, QueueExemptionStore } from './queue-exemption-records.ts';
import type { ListOptions, NamespaceStore } from './store.ts';

/** How many records are read with one call, and are in memory at a time. */
const PAGE_SIZE = 1000;
const AUDIT_PAGE_SIZE = 500;

/** Which namespaces, and how many in a page. */
export type PageOptions = Partial<Omit<ListOptions, 'after'>> & { readonly after?: string | undefined };

/**
 * All namespaces, or those in certain states, in the order of their names. One that is added or changed during the listing
 * may be in it or not. A page is read on demand.
 *
 * @throws AgentError `StoreUnavailable`; the signal's reason
 */
export function namespacePages(
  namespaces: Pick<NamespaceStore, 'list'>,
  signal: AbortSignal | undefined,
  { after, limit = PAGE_SIZE, ...states }: PageOptions = {},
): AsyncGenerator<readonly NamespaceRecord[]> {
  return readPages(
    limit,
    signal,
    (last) => {
      const from = last?.namespace ?? after;
      return namespaces.list({ ...states, limit, ...(from === undefined ? {} : { after: from }) });
    },
    (page) => page.at(-1),
  );
}

/**
 * All queue alerts, in the order of their queues.
 *
 * @throws AgentError `StoreUnavailable`; the signal's reason
 */
export function queueAlertPages(
  alerts: Pick<QueueAlertStore, 'list'>,
  signal?: AbortSignal,
): AsyncGenerator<readonly QueueAlert[]> {
  return readPages(
    PAGE_SIZE,
    signal,
    (last) => alerts.list({ limit: PAGE_SIZE, ...(last && { after: last.queue }) }),
    (page) => page.at(-1),
  );
}

/**
 * All exemptions of queues, in the order of their queues. There are few: operators make them one by one.
 *
 * @throws AgentError `StoreUnavailable`
 */
export async function readExemptions(exemptions: Pick<QueueExemptionStore, 'list'>): Promise<QueueExemption[]> {
  const all: QueueExemption[] = [];
  const pages = readPages(
    PAGE_SIZE,
    undefined,
    (last: QueueExemption | undefined) => exemptions.list({ limit: PAGE_SIZE, ...(last && { after: last.queue }) }),
    (page) => page.at(-1),
  );
  for await (const page of pages) all.push(...page);
  return all;
}

/**
 * The newest audit records that match, `query.limit` in all, in the order of time. Each call reads a part of them: one call
 * of the store for all would take too long.
 *
 * @throws AgentError `StoreUnavailable`; the signal's reason
 */
export async function readAuditRecords(
  audit: Pick<AuditStore, 'list'>,
  query: AuditQuery,
  signal: AbortSignal,
): Promise<AuditRecord[]> {
  const limit = Math.min(AUDIT_PAGE_SIZE, query.limit);
  const pages = readPages(
    limit,
    signal,
    (oldest: AuditRecord | undefined) => audit.list({ ...query, limit, ...(oldest && { before: oldest }) }),
    (page) => page[0],
  );
  const newestFirst: (readonly AuditRecord[])[] = [];
  let count = 0;
  for await (const page of pages) {
    newestFirst.push(page);
    count += page.length;
    if (count >= query.limit) break;
  }
  return newestFirst.toReversed().flat().slice(-query.limit);
}

async function* readPages<Item>(
  pageSize: number,
  signal: AbortSignal | undefined,
  readPage: (cursor: Item | undefined) => Promise<readonly Item[]>,
  cursorOf: (page: readonly Item[]) => Item | undefined,
): AsyncGenerator<readonly Item[]> {
  for (let cursor: Item | undefined; ; ) {
    signal?.throwIfAborted();
    const page = await readPage(cursor);
    if (page.length === 0) return;
    yield page;
    if (page.length < pageSize) return;
    cursor = cursorOf(page);
  }
}
