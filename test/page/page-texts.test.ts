import assert from 'node:assert/strict';
import { AUDIT_ACTIONS } from '../../src/store/audit-records.ts';
import { agentState } from '../../src/operator-api/health-schemas.ts';
import { SHOWN_STATES } from '../../src/operator-api/namespace-schemas.ts';
import { PLAN_ACTIONS } from '../../src/operator-api/plan-schemas.ts';
import { QUEUE_STATES } from '../../src/operator-api/queue-schemas.ts';
import { describeDetails, PAGE_AUDIT_ACTIONS, sinceOf } from '../../src/page/audit-texts.ts';
import { isKnownState, markOf, toneOfHappening } from '../../src/page/state-tones.ts';
import { knownStep } from '../../src/page/plan-steps.ts';
import { fillOf, nextThresholdText } from '../../src/page/threshold-texts.ts';

const NOW = Date.parse('2026-11-24T12:00:30.000Z');

describe('words and marks of the page', () => {
  it('let the audit be filtered by every action', () => {
    assert.deepEqual(PAGE_AUDIT_ACTIONS.toSorted(), AUDIT_ACTIONS.toSorted());
  });

  it('have a mark for every state that the data has', () => {
    for (const state of [...agentState.options, ...SHOWN_STATES, ...QUEUE_STATES]) {
      assert.equal(isKnownState(state), true, state);
    }
    assert.deepEqual(markOf('new-state'), { tone: 'idle', shape: 'ring', label: 'new-state' });
  });

  it('have words for every step of a plan', () => {
    for (const action of PLAN_ACTIONS) assert.notEqual(knownStep(action), undefined, action);
  });

  it('mark a state by its shape, not by its colour alone', () => {
    const worse = ['ready', 'degraded', 'down'].map((state) => markOf(state).shape);
    assert.equal(new Set(worse).size, 3);
  });

  it('mark what happened, a refusal always', () => {
    assert.equal(toneOfHappening('rotation'), 'good');
    assert.equal(toneOfHappening('queue.deleted'), 'bad');
    assert.equal(toneOfHappening('rotation', 'failed'), 'warn');
    assert.equal(toneOfHappening('notice', 'sent'), 'idle');
  });

  it('say what happens to a queue next, or why nothing does', () => {
    const next = { action: 'delete', unit: 'messages', at: 8000 } as const;
    assert.equal(nextThresholdText({ state: 'warned', next }), 'delete at 8,000');
    assert.equal(
      nextThresholdText({ state: 'warned', next: { ...next, unit: 'bytes', at: 2 ** 31 } }),
      'delete at 2 GiB',
    );
    assert.equal(nextThresholdText({ state: 'warned', next, exemptUntil: 'later' }), 'exempt until');
    assert.equal(nextThresholdText({ state: 'warned', next: { ...next, action: 'purge' } }), 'purge at 8,000');
    assert.equal(nextThresholdText({ state: 'warned', next: { ...next, action: 'leave' } }), 'left alone at 8,000');
    assert.equal(nextThresholdText({ state: 'deleting' }), 'being deleted');
    assert.equal(nextThresholdText({ state: 'watched' }), '–');
  });

  it('show how near a queue is to it, unless that is unknown', () => {
    const next = { action: 'delete', unit: 'messages', at: 8000 } as const;
    assert.equal(fillOf({ next, messages: 2000 }), 0.25);
    assert.equal(fillOf({ next, messages: 9000 }), 1);
    assert.equal(fillOf({ next, bytes: 9000 }), undefined);
    assert.equal(fillOf({ next: { ...next, unit: 'bytes' }, bytes: 4000 }), 0.5);
    assert.equal(fillOf({ messages: 1 }), undefined);
  });

  it('say the details of an audit record', () => {
    const say = (details: Parameters<typeof describeDetails>[0]) => describeDetails(details, NOW, 'Asia/Tokyo');
    const text = say({ fromGeneration: 6, toGeneration: 7, ageSeconds: 86_400, deleteAtBytes: 2 ** 31 });
    assert.equal(text, 'generation 6 → 7, age 1 d, delete at 2 GiB');
    const deleted = say({ messages: 8120, bytes: 628, deleteAtMessages: 1500, queues: 1, exchanges: 0 });
    assert.equal(deleted, '8,120 messages, 628 bytes, delete at 1,500 messages, 1 queue, 0 exchanges');
    assert.equal(
      say({ generation: 8, nextRotation: '2026-11-24T12:10:00.000Z' }),
      'generation 8, next rotation 21:10:00',
    );
    assert.equal(say({ suppressed: true }), 'suppressed true');
    assert.equal(say({}), '');
  });

  it('ask for the audit of a span that does not change with every second', () => {
    assert.equal(sinceOf('1', NOW), '2026-11-24T11:00:00.000Z');
    assert.equal(sinceOf('0', NOW), undefined);
    assert.equal(sinceOf('nonsense', NOW), undefined);
  });
});
