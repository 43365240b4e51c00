import type { EndpointReads } from '../../src/operator-api/endpoint.ts';
import type { NamespaceRow, QueueRow } from '../../src/operator-api/schemas.ts';
import { depthAt } from './sample-amounts.ts';
import { sampleAudit } from './sample-audit.ts';
import { sampleHealth, sampleOverview } from './sample-health.ts';
import {
  iso,
  namespaceName,
  namespaceOfNumber,
  queueName,
  sampleNamespace,
  sampleQueue,
  SAMPLE_SIZE,
} from './sample-installation.ts';
import { samplePlan } from './sample-plan.ts';

const MINUTE = 60_000;
const TREND_POINTS = 30;
const TREND_EVERY_MS = 6 * MINUTE;
const LIMITS = { warnAtMessages: 4000, deleteAtMessages: 8000 };

type Row = Readonly<Record<string, unknown>>;

/** What the page asks, answered with made-up data. */
export function sampleAnswers(now: () => number = Date.now): EndpointReads {
  const snapshot = keptFor(2000, now, () => sampleAll(now()));
  return {
    overview: async () => sampleOverview(now(), snapshot().queues),
    health: async () => sampleHealth(now()),
    plan: async ({ hours, namespace }) => samplePlan(now(), hours, namespace, snapshot().queues),
    audit: async (query) => sampleAudit(now(), query),
    queues: async ({ sort, order, search, namespace, state, offset, limit }) => {
      const matching = snapshot().queues.filter(
        (row) =>
          contains(row.queue, search) &&
          (namespace === undefined || row.namespace === namespace) &&
          (state === undefined || row.state === state || (state === 'alert' && row.state === 'warned')),
      );
      const key = (row: QueueRow): unknown => {
        if (sort === 'growth') return row.messagesPerMinute;
        if (sort === 'next')
          return row.next?.action === 'delete' ? (row.next.reachedAt ?? '9') : `a${row.next?.reachedAt ?? '9'}`;
        return sort === 'warned' ? row.warnedSince : row[sort];
      };
      const isAmount = ['messages', 'bytes', 'growth', 'ready', 'unacknowledged', 'consumers'].includes(sort);
      const sorted = sortedBy(matching, key, order ?? (isAmount ? 'desc' : 'asc'));
      const trendAt = trendInstants(now());
      const items = sorted.slice(offset, offset + limit).map((row) => withTrend(row, trendAt));
      return { at: iso(now()), total: matching.length, trendAt, items };
    },
    queueHistory: async ({ queue }) => {
      const row = snapshot().queues.find((one) => one.queue === queue);
      if (row === undefined) return undefined;
      const number = snapshot().numbers.get(queue) ?? 0;
      const { trend: _, ...fields } = row;
      const points = Array.from({ length: 240 }, (_point, index): [string, number, number, number] => {
        const atMs = now() - (239 - index) * MINUTE;
        const messages = depthAt(number, atMs);
        const unacknowledged = Math.round(messages * 0.08);
        return [iso(atMs), messages, messages - unacknowledged, unacknowledged];
      });
      return { at: iso(now()), ...fields, limits: LIMITS, points };
    },
    namespaces: async ({ sort, order, search, state, offset, limit }) => {
      const matching = snapshot().namespaces.filter(
        (row) =>
          (contains(row.namespace, search) || contains(row.holder, search)) &&
          (state === undefined || row.state === state),
      );
      const isAmount = ['queues', 'messages', 'connections'].includes(sort);
      const sorted = sortedBy(matching, (row: Row) => row[sort], order ?? (isAmount ? 'desc' : 'asc'));
      return {
        at: iso(now()),
        countsAt: iso(now()),
        total: matching.length,
        items: sorted.slice(offset, offset + limit),
      };
    },
    namespace: async ({ name }) => {
      const row = snapshot().namespaces.find(({ namespace }) => namespace === name);
      if (row === undefined) return undefined;
      const trendAt = trendInstants(now());
      const audit = sampleAudit(now(), { namespace: name, limit: 20 }).items;
      const queueRows = snapshot().queues.filter(({ namespace }) => namespace === name);
      return {
        at: iso(now()),
        ...row,
        generation: 41,
        accounts: [1, 2].map((slot) => ({
          account: `${name}-${slot}`,
          isActive: slot === 1,
          generation: 42 - slot,
          secretId: 'a1b2c3d4',
          promisedUntil: iso(now() + slot * 20 * MINUTE),
        })),
        ...(audit[0] === undefined
          ? {}
          : { lastRotation: { ...audit[0], action: 'rotation', reason: 'rotation due' } }),
        failures: [],
        openConnections: Array.from({ length: row.connections ?? 0 }, (_, index) => ({
          account: `${name}-1`,
          since: iso(now() - (90 - index * 17) * MINUTE),
        })),
        trendAt,
        queueRows: sortedBy(queueRows, ({ messages }) => messages, 'desc')
          .slice(0, 100)
          .map((one) => withTrend(one, trendAt)),
        planned: samplePlan(now(), 12, name, queueRows).steps,
        audit,
        exemptions: [],
        commands: [
          { what: 'Revoke all credentials of this namespace', command: `pulse-agent revoke ${name} --reason 'why'` },
          { what: 'Show what is planned for it', command: `pulse-agent plan --namespace ${name} --horizon 7d` },
        ],
      };
    },
  };

  function withTrend(row: QueueRow, trendAt: readonly string[]): QueueRow {
    const number = snapshot().numbers.get(row.queue) ?? 0;
    return { ...row, trend: trendAt.map((at) => depthAt(number, Date.parse(at))) };
  }
}

function sampleAll(nowMs: number) {
  const queues: QueueRow[] = [];
  const numbers = new Map<string, number>();
  const counts = new Map<number, { queues: number; messages: number }>();
  for (let queue = 0; queue < SAMPLE_SIZE; queue += 1) {
    const row = sampleQueue(queue, nowMs);
    queues.push({ ...row, trend: [] });
    numbers.set(queueName(queue), queue);
    const owner = namespaceOfNumber(queue);
    const { queues: before = 0, messages = 0 } = counts.get(owner) ?? {};
    counts.set(owner, { queues: before + 1, messages: messages + (row.messages ?? 0) });
  }
  const namespaces: NamespaceRow[] = Array.from({ length: SAMPLE_SIZE }, (_, index) => {
    const { queues: owned = 0, messages = 0 } = counts.get(index) ?? {};
    return sampleNamespace(index, nowMs, owned, messages);
  });
  return { queues, namespaces, numbers };
}

function trendInstants(nowMs: number): string[] {
  const lastMs = Math.floor(nowMs / MINUTE) * MINUTE;
  return Array.from({ length: TREND_POINTS }, (_, index) => iso(lastMs - (TREND_POINTS - 1 - index) * TREND_EVERY_MS));
}

function sortedBy<R>(rows: readonly R[], key: (row: R) => unknown, order: 'asc' | 'desc'): R[] {
  const sign = order === 'asc' ? 1 : -1;
  return rows.toSorted((a, b) => {
    const [left, right] = [key(a), key(b)];
    if (left === right) return 0;
    if (left === undefined || left === null) return 1;
    if (right === undefined || right === null) return -1;
    return left < right ? -sign : sign;
  });
}

function contains(text: string, search: string | undefined): boolean {
  return search === undefined || text.toLowerCase().includes(search.toLowerCase());
}

function keptFor<T>(ms: number, now: () => number, make: () => T): () => T {
  let kept: { readonly atMs: number; readonly value: T } | undefined;
  return () => {
    if (kept === undefined || now() - kept.atMs > ms) kept = { atMs: now(), value: make() };
    return kept.value;
  };
}

/** The namespace with this number, for events. */
export function someNamespace(number: number): string {
  return namespaceName(number % SAMPLE_SIZE);
}
