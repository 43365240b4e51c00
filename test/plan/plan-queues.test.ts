import assert from 'node:assert/strict';
import { planQueues, type SurveyConfig } from '../../src/plan/plan-queues.ts';
import { alertOf, recordOf } from '../support/records.ts';

const NOW = Date.parse('2026-01-01T00:00:00Z');
const config: SurveyConfig = {
  warnAtMessages: 100,
  deleteAtMessages: 200,
  warnAtBytes: 1000,
  deleteAtBytes: 2000,
  namespacePrefix: 'taskcluster-',
  queues: [],
  exemptQueues: [/^queue\/taskcluster-x\/exempt$/],
  reservedNamespaces: [/^taskcluster-reserved$/],
};
const records = new Map([
  ['taskcluster-x', recordOf(NOW, { incarnation: 'incarnation' })],
  ['taskcluster-reserved', recordOf(NOW, { namespace: 'taskcluster-reserved' })],
]);
const queue = 'queue/taskcluster-x/q';
const warned = alertOf({
  queue,
  namespace: 'taskcluster-x',
  incarnation: 'incarnation',
  level: 'warned',
  changedMs: NOW - 60_000,
});

function actions(messages: number | undefined, alert = warned, name = queue): string[] {
  const alerts = new Map(alert === undefined ? [] : [[alert.queue, alert]]);
  return planQueues([{ name, messages }], alerts, records, config, NOW).map(({ action }) => action);
}

describe('the plan for queues', () => {
  it('warns, deletes and recovers as a survey does', () => {
    assert.deepEqual(
      planQueues([{ name: queue, messages: 100 }], new Map(), records, config, NOW).map(({ action }) => action),
      ['warn'],
    );
    assert.deepEqual(actions(200), ['delete']);
    assert.deepEqual(actions(150), []);
    assert.deepEqual(actions(10), ['recover']);
    assert.deepEqual(actions(undefined), []);
  });

  it('keeps a queue that an operator exempted from deletion, and warns as always', () => {
    const exemptions = new Map([[queue, { untilMs: Date.parse('2026-11-24T14:00:00Z') }]]);
    const planned = planQueues(
      [{ name: queue, messages: 200 }],
      new Map([[queue, warned]]),
      records,
      config,
      NOW,
      new Map(),
      exemptions,
    );
    assert.deepEqual(
      planned.map(({ action, why }) => [action, why]),
      [
        [
          'keep',
          'it has 200 messages, its owner was warned, and queues are deleted at 200; an operator exempted it until 2026-11-24T14:00:00.000Z',
        ],
      ],
    );
    const warning = planQueues(
      [{ name: queue, messages: 200 }],
      new Map(),
      records,
      config,
      NOW,
      new Map(),
      exemptions,
    );
    assert.deepEqual(
      warning.map(({ action }) => action),
      ['warn'],
    );
  });

  it('counts bytes as well, unless the queue has become smaller since they were counted', () => {
    const sizes = new Map([[queue, { name: queue, bytes: 2500, messages: 10 }]]);
    const plan = (messages: number, alerts = new Map([[queue, warned]])) =>
      planQueues([{ name: queue, messages }], alerts, records, config, NOW, sizes).map(({ action, bytes, why }) => [
        action,
        bytes,
        why,
      ]);
    const deleted = 'it has 60 messages of 2500 bytes, its owner was warned, and queues are deleted at 2000 bytes';
    assert.deepEqual(plan(60), [['delete', 2500, deleted]]);
    assert.deepEqual(
      plan(60, new Map()).map(([action]) => action),
      ['warn'],
    );
    assert.deepEqual(plan(9), [['recover', undefined, 'it has 9 messages, fewer than half of 100']]);
  });

  it('contains no exempt queues, none of reserved namespaces, and none without a namespace', () => {
    const names = [
      'queue/taskcluster-x/exempt',
      'queue/taskcluster-reserved/q',
      'queue/taskcluster-missing/q',
      'queue/other/q',
      'q',
    ];
    for (const name of names)
      assert.deepEqual(planQueues([{ name, messages: 9999 }], new Map(), records, config, NOW), []);
  });
});
