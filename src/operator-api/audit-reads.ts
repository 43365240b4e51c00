import { formatInstant, parseInstant } from '../contract/fields.ts';
import type { AuditQuery, AuditRecord, AuditStore } from '../store/audit-records.ts';
import type { Clock } from '../util/clock.ts';
import { AUDIT_CURSOR, type AuditApiQuery, type AuditView, DETAIL_NAMES } from './audit-schemas.ts';
import type { EndpointReads } from './endpoint.ts';
import { isFound } from './list-page.ts';

/** The most records read for one page with a filter that the store lacks; the next page goes on there. */
const MAX_SCANNED = 2_000;

/** The most records that one call of the store reads: more would delay claims. */
const PAGE_SIZE = 250;

/** Reads pages of audit records, the newest first. */
export function createReadAudit({
  store,
  clock,
}: {
  readonly store: { readonly audit: Pick<AuditStore, 'list'> };
  readonly clock: Pick<Clock, 'nowMs'>;
}): EndpointReads['audit'] {
  return async (query, signal) => {
    const at = formatInstant(clock.nowMs());
    const wanted = storeQuery(query);
    const found: AuditRecord[] = [];
    let before = query.after === undefined ? undefined : parseCursor(query.after);
    let scanned = 0;
    let isLast = false;
    while (found.length < query.limit && scanned < MAX_SCANNED && !isLast) {
      signal.throwIfAborted();
      const limit = isFiltered(query) ? PAGE_SIZE : Math.min(PAGE_SIZE, query.limit - found.length);
      const page = await store.audit.list({ ...wanted, limit, ...(before === undefined ? {} : { before }) });
      isLast = page.length < limit;
      for (const record of page.toReversed()) {
        if (found.length === query.limit) {
          isLast = false;
          break;
        }
        before = record;
        scanned += 1;
        if (isWanted(record, query)) found.push(record);
      }
    }
    return {
      at,
      items: found.map(auditViewOf),
      ...(isLast || before === undefined ? {} : { next: formatCursor(before) }),
      scanned,
    };
  };
}

function storeQuery({ namespace, since, until }: AuditApiQuery): Omit<AuditQuery, 'limit'> {
  const [sinceMs, untilMs] = [since, until].map((instant) =>
    instant === undefined ? undefined : parseInstant(instant),
  );
  return {
    ...(namespace === undefined ? {} : { namespace }),
    ...(sinceMs === undefined ? {} : { sinceMs }),
    ...(untilMs === undefined ? {} : { untilMs }),
  };
}

function isFiltered({ action, who }: AuditApiQuery): boolean {
  return action !== undefined || who !== undefined;
}

function isWanted(record: AuditRecord, { action, who }: AuditApiQuery): boolean {
  return (action === undefined || record.action === action) && isFound(who, record.actorName);
}

function formatCursor({ atMs, id }: Pick<AuditRecord, 'atMs' | 'id'>): string {
  return `${atMs}.${id}`;
}

function parseCursor(text: string): Pick<AuditRecord, 'atMs' | 'id'> {
  const [, atMs = '0', id = ''] = AUDIT_CURSOR.exec(text) ?? [];
  return { atMs: Number(atMs), id };
}

/** An audit record as operators see it: without what may have an address of a client, or a contact. */
export function auditViewOf(record: AuditRecord): AuditView {
  const { id, atMs, action, actor, actorName, instance, namespace, subject, reason, outcome, requestId } = record;
  return {
    id,
    at: formatInstant(atMs),
    action,
    by: actor,
    who: actorName,
    instance,
    ...(namespace === null ? {} : { namespace }),
    ...(subject === null || action === 'connection-closing' ? {} : { subject }),
    reason,
    outcome,
    ...(requestId === null ? {} : { requestId }),
    details: detailsOf(record),
  };
}

function detailsOf({ details }: AuditRecord): AuditView['details'] {
  return Object.fromEntries(
    DETAIL_NAMES.flatMap((name) => {
      const value = Object.hasOwn(details, name) ? details[name] : undefined;
      return value === undefined || value === null ? [] : [[name, value]];
    }),
  );
}
