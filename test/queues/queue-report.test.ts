import assert from 'node:assert/strict';
import {
  type QueueOrder,
  type QueueRecords,
  type QueueReport,
  type QueueReportConfig,
  reportQueue,
  sortQueueReports,
} from '../../src/queues/queue-report.ts';
import { alertOf } from '../support/records.ts';

const NOW = Date.parse('2026-11-24T12:00:00Z');
const CONFIG: QueueReportConfig = {
  warnAtMessages: 4000,
  deleteAtMessages: 8000,
  warnAtBytes: null,
  deleteAtBytes: null,
  namespacePrefix: 'taskcluster-',
  queues: [],
  exemptQueues: [/^queue\/taskcluster-x\/exempt$/],
  reservedNamespaces: [/^taskcluster-reserved$/],
};
const QUEUE = 'queue/taskcluster-x/q';
const RECORD = { state: 'active', incarnation: 'bGlmZQ' } as const;
const GROWTH = {
  messages: { earlier: { amount: 4900, seenMs: NOW - 60_000 }, latest: { amount: 5000, seenMs: NOW } },
};

function report(known: Partial<QueueRecords> = {}, queue = QUEUE): QueueReport {
  return reportQueue(queue, GROWTH, { namespace: 'taskcluster-x', record: RECORD, alert: undefined, ...known }, CONFIG);
}

describe('the report on a queue', () => {
  it('says since when its owner is warned, and when it is deleted', () => {
    const warned = report({ alert: alertOf({ level: 'warned', changedMs: NOW - 1000 }) });
    assert.deepEqual(warned, {
      limits: {
        rule: 'default',
        warnAtMessages: 4000,
        deleteAtMessages: 8000,
        warnAtBytes: null,
        deleteAtBytes: null,
        onOvergrown: 'delete',
        idleExpiryMs: null,
      },
      queue: QUEUE,
      namespace: 'taskcluster-x',
      state: 'warned',
      messages: 5000,
      bytes: undefined,
      warnedMs: NOW - 1000,
      messagesPerMinute: 100,
      bytesPerMinute: undefined,
      next: { action: 'delete', unit: 'messages', at: 8000, reachedMs: NOW + 30 * 60_000 },
    });
  });

  it('is not deleted while an operator exempted it, but its owner is warned', () => {
    const exemption = { untilMs: NOW + 60_000 };
    const warned = report({ alert: alertOf({ level: 'warned' }), exemption });
    assert.deepEqual([warned.state, warned.next, warned.exemptUntilMs], ['warned', undefined, NOW + 60_000]);
    assert.equal(report({ exemption }).next?.action, 'warn');
  });

  it('has the state that follows from its alert and its namespace', () => {
    const cases: readonly (readonly [QueueReport, string, string | undefined])[] = [
      [report(), 'watched', 'warn'],
      [report({ alert: alertOf({ level: 'warning' }) }), 'warned', 'delete'],
      [report({ alert: alertOf({ level: 'over' }) }), 'deleting', undefined],
      [report({ alert: alertOf({ level: 'deleted' }) }), 'deleting', undefined],
      [report({ alert: alertOf({ level: 'recovering' }) }), 'watched', 'warn'],
      [report({ alert: alertOf({ level: 'warned', incarnation: 'another' }) }), 'watched', 'warn'],
      [report({ record: undefined }), 'unclaimed', undefined],
      [report({ record: { ...RECORD, state: 'expiring' } }), 'unclaimed', undefined],
      [report({}, 'queue/taskcluster-x/exempt'), 'exempt', undefined],
      [report({ namespace: 'taskcluster-reserved' }), 'exempt', undefined],
    ];
    for (const [{ state, next }, expected, action] of cases)
      assert.deepEqual([state, next?.action], [expected, action]);
  });

  it('leaves what is unknown undefined', () => {
    const known = { namespace: 'taskcluster-x', record: RECORD, alert: alertOf({ level: 'warned' }) };
    const { messages, messagesPerMinute, next } = reportQueue(QUEUE, {}, known, CONFIG);
    assert.deepEqual([messages, messagesPerMinute, next], [undefined, undefined, undefined]);
  });
});

describe('the order of reports', () => {
  const base = report();
  const deep: QueueReport = { ...base, queue: 'deep', messages: 9000, messagesPerMinute: 0, bytes: 1 };
  const fast: QueueReport = {
    ...base,
    queue: 'fast',
    messages: 100,
    messagesPerMinute: 500,
    bytes: 3,
    next: { action: 'warn', unit: 'messages', at: 4000, reachedMs: NOW + 2 },
  };
  const warned: QueueReport = {
    ...base,
    queue: 'warned',
    messages: 5000,
    messagesPerMinute: -7,
    bytes: 2,
    warnedMs: NOW,
    next: { action: 'delete', unit: 'messages', at: 8000, reachedMs: null },
  };
  const unknown: QueueReport = {
    ...base,
    queue: 'a stream',
    messages: undefined,
    messagesPerMinute: undefined,
    next: undefined,
  };
  const orders: readonly (readonly [QueueOrder, string[]])[] = [
    ['messages', ['deep', 'warned', 'fast', 'a stream']],
    ['bytes', ['fast', 'warned', 'deep', 'a stream']],
    ['growth', ['fast', 'deep', 'warned', 'a stream']],
    ['warned', ['warned', 'deep', 'fast', 'a stream']],
    ['next', ['fast', 'deep', 'warned', 'a stream']],
    ['queue', ['a stream', 'deep', 'fast', 'warned']],
  ];
  for (const [order, expected] of orders) {
    it(`by ${order}: what is unknown comes last`, () => {
      const later: QueueReport = { ...deep, next: { action: 'warn', unit: 'messages', at: 4000, reachedMs: NOW + 9 } };
      const sorted = sortQueueReports([unknown, warned, fast, order === 'next' ? later : deep], order);
      assert.deepEqual(
        sorted.map(({ queue }) => queue),
        expected,
      );
    });
  }
});
