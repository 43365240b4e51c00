import assert from 'node:assert/strict';
import { namespaceChanges, namespaceStatusText } from '../../src/cli/namespace-status-text.ts';
import { createQueueTrends } from '../../src/cli/queue-trends.ts';
import { sparkline } from '../../src/cli/sparkline.ts';
import { createOutput } from '../../src/cli/output.ts';
import type { NamespaceDescription } from '../../src/client/client.ts';

const nowhere = { write: () => true };
const { style } = createOutput(nowhere, nowhere, {}, false);
const QUEUE = 'queue/taskcluster-x/tasks';

function describedAs(given: Partial<NamespaceDescription> = {}): NamespaceDescription {
  return {
    namespace: 'taskcluster-x',
    created: '2026-11-24T11:00:00.000Z',
    expires: '2026-11-24T16:00:00.000Z',
    state: 'active',
    holder: 'project/x',
    connections: 2,
    observedAt: ['2026-11-24T11:59:00.000Z', '2026-11-24T12:00:00.000Z'],
    queues: [
      {
        queue: QUEUE,
        state: 'watched',
        messages: 1200,
        ready: 1100,
        unacknowledged: 100,
        bytes: 2048,
        consumers: 3,
        growingSince: '2026-11-24T11:59:00.000Z',
        messagesPerMinute: 20,
        next: { action: 'warn', unit: 'messages', at: 2000, reachedAt: '2026-11-24T12:40:00.000Z' },
        trend: [1180, 1200],
      },
    ],
    moreQueues: false,
    alerts: [],
    audit: [],
    ...given,
  };
}

function textOf(description: NamespaceDescription): string {
  const trends = createQueueTrends();
  trends.add(description);
  return namespaceStatusText(description, trends, style);
}

describe('the status of a namespace as text', () => {
  it('has each queue with its trend, growth and next threshold', () => {
    assert.deepEqual(textOf(describedAs()).split('\n'), [
      'taskcluster-x is active at 2026-11-24T12:00:00.000Z',
      '',
      'holder         project/x',
      'created        2026-11-24T11:00:00.000Z',
      'last claim     unknown',
      'expires        2026-11-24T16:00:00.000Z',
      'connections    2',
      '',
      'QUEUE                      STATE    READY  UNACKED  SIZE   CONSUMERS  TREND  PER MINUTE  NEXT                   WHEN',
      `${QUEUE}  watched  1100   100      2 KiB  3          ██     +20         warn at 2000 messages  in 40 min, at 2026-11-24T12:40:00Z`,
    ]);
  });

  it('says unknown for what is absent', () => {
    const queue = { queue: QUEUE, state: 'watched', trend: [null] };
    const { connections: _, ...rest } = describedAs({ queues: [queue], observedAt: ['2026-11-24T12:00:00.000Z'] });
    const text = textOf(rest);
    assert.match(text, /connections +unknown/);
    assert.match(text, /tasks +watched +unknown +unknown +unknown +unknown +unknown$/m);
    const { queues: _queues, observedAt: _observed, ...silent } = describedAs();
    assert.match(textOf(silent), /the queues are unknown/);
    assert.match(textOf(describedAs({ queues: [] })), /It has no queues/);
  });

  it('has alerts and audit records, and escapes control characters', () => {
    const text = textOf(
      describedAs({
        moreQueues: true,
        refusedUntil: '2026-11-24T13:00:00.000Z',
        alerts: [{ queue: `${QUEUE}\u001b[2J`, state: 'warned', since: '2026-11-24T11:50:00.000Z', messages: 2000 }],
        audit: [
          { at: '2026-11-24T11:00:00.000Z', action: 'claim', by: 'client', clientId: 'project/x', outcome: 'done' },
          { at: '2026-11-24T10:00:00.000Z', action: 'exemption', by: 'operator', subject: QUEUE, outcome: 'done' },
        ],
      }),
    );
    assert.match(text, /refused until  2026-11-24T13/);
    assert.match(text, /It has more queues/);
    assert.match(text, /\\u\{1b\}\[2J +warned +2026-11-24T11:50:00Z +2000/);
    assert.match(text, /2026-11-24T11:00:00Z +project\/x +claim/);
    assert.match(text, /2026-11-24T10:00:00Z +operator +exemption +queue\/taskcluster-x\/tasks +done/);
    assert.ok(!text.includes('\u001b'));
  });

  it('prints a line for each queue that has changed, and each new audit record', () => {
    const before = describedAs({
      queues: [
        { queue: QUEUE, state: 'watched', messages: 1180, trend: [1180] },
        { queue: `${QUEUE}-same`, state: 'watched', messages: 1, trend: [1] },
        { queue: `${QUEUE}-gone`, state: 'watched', messages: 1, trend: [1] },
      ],
    });
    const after = describedAs({
      queues: [...(describedAs().queues ?? []), { queue: `${QUEUE}-same`, state: 'watched', messages: 1, trend: [1] }],
      audit: [
        { at: '2026-11-24T11:59:59.000Z', action: 'rotation', by: 'agent', outcome: 'done', reason: 'rotation due' },
      ],
    });
    assert.deepEqual(
      namespaceChanges(before, after).map(({ text }) => text(style)),
      [
        `2026-11-24T12:00:00.000Z ${QUEUE} is watched: 1200 messages, +20 a minute; warn at 2000 messages: in 40 min, at 2026-11-24T12:40:00Z`,
        `2026-11-24T12:00:00.000Z ${QUEUE}-gone: gone, or less deep than 100 others`,
        '2026-11-24T11:59:59.000Z agent: rotation, done (rotation due)',
      ],
    );
    assert.deepEqual(namespaceChanges(after, after), []);
  });
});

describe('the trend of a queue', () => {
  it('is drawn from 0 to the largest amount', () => {
    assert.equal(sparkline([0, 1, 2, 3, 4, 5, 6, 7]), '▁▂▃▄▅▆▇█');
    assert.equal(sparkline([null, 0, 0]), '·▁▁');
    assert.equal(sparkline([1000, 1001]), '██');
    assert.equal(sparkline([]), '');
  });

  it('joins what several agents observed, and keeps the latest 20', () => {
    const trends = createQueueTrends();
    const answer = (observedAt: string[], trend: (number | null)[]): void =>
      trends.add(describedAs({ observedAt, queues: [{ queue: QUEUE, state: 'watched', trend }] }));
    answer(['12:00', '12:02'], [null, 2]);
    answer(['12:01', '12:03'], [1, null]);
    assert.deepEqual(trends.of(QUEUE), [1, 2, null]);
    assert.deepEqual(trends.of('another'), []);
    for (let minute = 10; minute < 40; minute += 1) answer([`12:${minute}`], [minute]);
    assert.equal(trends.of(QUEUE).length, 20);
    assert.equal(trends.of(QUEUE).at(-1), 39);
    trends.add(describedAs({ queues: [] }));
    assert.deepEqual(trends.of(QUEUE), []);
  });
});
