import assert from 'node:assert/strict';
import type { ReadableNamespace } from '../../../src/namespaces/read-namespaces.ts';
import {
  type DescriptionConfig,
  descriptionFor,
  type KnownNamespace,
} from '../../../src/requests/methods/namespace-description.ts';
import type { AuditRecord } from '../../../src/store/audit-records.ts';
import { alertOf, exemptionOf, recordOf } from '../../support/records.ts';

const NOW = Date.parse('2026-11-24T12:00:00.000Z');
const QUEUE = 'queue/taskcluster-x/jobs';
const CONFIG: DescriptionConfig = {
  usernamePrefix: 'u-',
  warnAtMessages: 4000,
  deleteAtMessages: 8000,
  warnAtBytes: null,
  deleteAtBytes: null,
  namespacePrefix: 'taskcluster-',
  queues: [],
  exemptQueues: [],
  reservedNamespaces: [],
};

function auditOf(given: Partial<AuditRecord>): AuditRecord {
  return {
    id: 'id',
    atMs: NOW,
    instance: 'host-1-4711',
    actor: 'agent',
    actorName: 'host-1-4711',
    userId: null,
    action: 'rotation',
    namespace: 'taskcluster-x',
    subject: null,
    reason: 'rotation due',
    outcome: 'done',
    requestId: null,
    details: {},
    ...given,
  };
}

const queued = (more: object = {}) => ({
  name: QUEUE,
  ready: 4900,
  unacknowledged: 100,
  consumers: 1,
  growth: { messages: { earlier: { amount: 4900, seenMs: NOW - 60_000 }, latest: { amount: 5000, seenMs: NOW } } },
  trend: [undefined, 4900, 5000],
  ...more,
});

function describeWith(known: Partial<KnownNamespace> = {}, clientId = 'project/reader') {
  const record = recordOf(NOW, { contact: 'owner@example.org', claimedBy: 'project/x' }) as ReadableNamespace;
  return descriptionFor(
    clientId,
    {
      record,
      connections: 2,
      queues: { seenMs: [NOW - 120_000, NOW - 60_000, NOW], queues: [queued()], hasMore: false },
      alerts: new Map(),
      exemptions: new Map(),
      audit: [],
      ...known,
    },
    CONFIG,
    NOW,
  );
}

describe('the description of a namespace', () => {
  it('has its state, its holder, what it has on the broker, and the instants of that', () => {
    assert.deepEqual(describeWith(), {
      namespace: 'taskcluster-x',
      created: '2026-11-24T12:00:00.000Z',
      expires: '2026-11-24T16:00:00.000Z',
      state: 'active',
      holder: 'project/x',
      nextRotation: '2026-11-24T13:00:00.000Z',
      connections: 2,
      observedAt: ['2026-11-24T11:58:00.000Z', '2026-11-24T11:59:00.000Z', '2026-11-24T12:00:00.000Z'],
      queues: [
        {
          queue: QUEUE,
          state: 'watched',
          messages: 5000,
          ready: 4900,
          unacknowledged: 100,
          consumers: 1,
          growingSince: '2026-11-24T11:59:00.000Z',
          messagesPerMinute: 100,
          next: { action: 'warn', unit: 'messages', at: 4000, reachedAt: '2026-11-24T12:00:00.000Z' },
          rule: 'default',
          limits: { warnAtMessages: 4000, deleteAtMessages: 8000, onOvergrown: 'delete' },
          trend: [null, 4900, 5000],
        },
      ],
      moreQueues: false,
      alerts: [],
      audit: [],
    });
  });

  it('says when a queue that was warned of is deleted, unless it is exempt', () => {
    const alerts = new Map([[QUEUE, alertOf({ level: 'warned' })]]);
    const warned = describeWith({ alerts });
    assert.deepEqual(warned.alerts, [
      { queue: QUEUE, state: 'warned', since: '2026-11-24T12:00:00.456Z', messages: 4000 },
    ]);
    const [queue] = warned.queues ?? [];
    assert.deepEqual([queue?.state, queue?.warnedSince], ['warned', '2026-11-24T12:00:00.456Z']);
    assert.deepEqual(queue?.next, {
      action: 'delete',
      unit: 'messages',
      at: 8000,
      reachedAt: '2026-11-24T12:30:00.000Z',
    });
    const exemptions = new Map([[QUEUE, exemptionOf()]]);
    const [exempt] = describeWith({ alerts, exemptions }).queues ?? [];
    assert.deepEqual([exempt?.exemptUntil, exempt?.next], ['2026-11-24T14:00:00.000Z', undefined]);
    const ended = new Map([[QUEUE, exemptionOf({ untilMs: NOW })]]);
    assert.ok(!('exemptUntil' in (describeWith({ alerts, exemptions: ended }).queues ?? [{}])[0]!));
  });

  it('leaves out what is unknown, and says null where a threshold is not reached', () => {
    const unknown = describeWith({ connections: undefined, queues: undefined });
    for (const field of ['connections', 'observedAt', 'queues', 'moreQueues']) assert.ok(!(field in unknown), field);
    const one = { latest: { amount: 100, seenMs: NOW } };
    const still = { ...one, earlier: { amount: 100, seenMs: NOW - 60_000 } };
    const queues = [
      queued({ growth: {} }),
      queued({ growth: { messages: one } }),
      queued({ growth: { messages: still } }),
    ];
    const described = describeWith({ queues: { seenMs: [NOW], queues, hasMore: true } });
    assert.deepEqual(
      described.queues?.map(({ messages, messagesPerMinute, growingSince, next }) => [
        messages,
        messagesPerMinute,
        growingSince,
        next && 'reachedAt' in next ? next.reachedAt : next?.at,
      ]),
      [
        [undefined, undefined, undefined, undefined],
        [100, undefined, undefined, 4000],
        [100, 0, '2026-11-24T11:59:00.000Z', null],
      ],
    );
    assert.equal(described.moreQueues, true);
  });

  it('has only the alerts of this incarnation of the namespace', () => {
    const alerts = new Map(
      [
        alertOf({ queue: 'queue/taskcluster-x/b', level: 'deleting' }),
        alertOf({ queue: 'queue/taskcluster-x/a', bytes: 7 }),
        alertOf({ queue: 'queue/taskcluster-x/recovering', level: 'recovering' }),
        alertOf({ queue: 'queue/taskcluster-x/old', incarnation: 'b2xk' }),
        alertOf({ queue: 'queue/taskcluster-y/a', namespace: 'taskcluster-y' }),
      ].map((alert) => [alert.queue, alert]),
    );
    assert.deepEqual(
      describeWith({ alerts }).alerts.map(({ queue, state, bytes }) => [queue, state, bytes]),
      [
        ['queue/taskcluster-x/a', 'warned', 7],
        ['queue/taskcluster-x/b', 'deleting', undefined],
      ],
    );
  });

  it('names nobody but the holder and the client that asks', () => {
    const audit = [
      auditOf({ subject: 'u-taskcluster-x-2' }),
      auditOf({ actor: 'client', actorName: 'project/x', action: 'claim', reason: 'first claim', userId: 'someone' }),
      auditOf({ actor: 'client', actorName: 'project/reader', action: 'claim', reason: 'claimed by another client' }),
      auditOf({ actor: 'client', actorName: 'stranger/eve', action: 'revocation', requestId: 'secret-request' }),
      auditOf({
        actor: 'operator',
        actorName: 'alice',
        instance: 'admin-laptop',
        action: 'exemption',
        subject: QUEUE,
        reason: 'mallory asked for it',
        details: { by: 'mallory' },
      }),
      auditOf({ action: 'connection-closing', subject: '10.1.2.3:4711 -> 10.9.9.9:5672', reason: 'too old' }),
      auditOf({ action: 'claim', outcome: 'refused: the user exists', subject: 'u-taskcluster-other-1' }),
    ];
    const description = describeWith({ audit });
    assert.deepEqual(description.audit.toReversed(), [
      { ...entry('rotation', 'agent', 'rotation due'), subject: 'u-taskcluster-x-2' },
      { ...entry('claim', 'client', 'first claim'), clientId: 'project/x' },
      { ...entry('claim', 'client', 'claimed by another client'), clientId: 'project/reader' },
      entry('revocation', 'client', 'rotation due'),
      { at: '2026-11-24T12:00:00.000Z', action: 'exemption', by: 'operator', outcome: 'done', subject: QUEUE },
      entry('connection-closing', 'agent', 'too old'),
      { ...entry('claim', 'agent', 'rotation due'), outcome: 'refused: the user exists' },
    ]);
    const text = JSON.stringify(description);
    const foreign = /owner@|eve|alice|mallory|laptop|host-1|10\.[19]|someone|secret|taskcluster-other/;
    assert.doesNotMatch(text, foreign);
  });

  it('says until when claims are refused', () => {
    const of = (revokedUntilMs: number | null) =>
      describeWith({ record: recordOf(NOW, { revokedUntilMs }) as ReadableNamespace }).refusedUntil;
    assert.deepEqual([of(null), of(NOW), of(NOW + 1)], [undefined, undefined, '2026-11-24T12:00:00.001Z']);
  });
});

function entry(action: string, by: string, reason: string) {
  return { at: '2026-11-24T12:00:00.000Z', action, by, outcome: 'done', reason };
}
