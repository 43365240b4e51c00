import assert from 'node:assert/strict';
import { FINISH_MS } from '../../src/queues/decide-alert.ts';
import type { QueueAlertLevel } from '../../src/store/queue-alert-records.ts';
import type { NamespaceRecord } from '../../src/store/namespace-record.ts';
import { createMemoryStore } from '../support/memory-store.ts';
import { createQueueRoom } from '../support/queue-room.ts';
import { alertOf, recordOf } from '../support/records.ts';

const OWNER = 'owner@example.org';
const signal = new AbortController().signal;
const fail = (): never => assert.fail('it should not be called');

/** A queue that is gone, with the alert and the held notice of an agent that died when it had deleted it. */
async function scene(level: QueueAlertLevel, owner: Partial<NamespaceRecord> | undefined, exempt: string[] = []) {
  const store = createMemoryStore();
  const deletion = { removeQueue: fail, lastLook: fail, readyCounts: { read: fail } };
  const { clock, notices, judge, told, faults } = createQueueRoom(store, { exemptQueues: exempt, deletion });
  const alert = alertOf({ level, messages: 9000, changedMs: clock.nowMs() - FINISH_MS });
  await store.queueAlerts.insert(alert);
  await notices.holdDeletion(recordOf(clock.nowMs(), { contact: OWNER }), alert);
  if (owner !== undefined) store.put(recordOf(clock.nowMs(), { contact: 'next@example.org', ...owner }));
  const depth = { messages: undefined, isGone: true, isWhole: true, seenMs: clock.nowMs() };
  await judge([{ queue: alert.queue, depth, alert }], signal);
  assert.deepEqual(faults, []);
  const mails = await store.notices.due({ beforeMs: clock.nowMs(), limit: 10 });
  return {
    told,
    mails: mails.map(({ kind, contact }) => `${kind} ${contact}`),
    left: await store.queueAlerts.get(alert.queue),
  };
}

describe('a queue that an agent deleted before it died', () => {
  for (const level of ['deleting', 'deleted'] as const) {
    for (const [what, owner, exempt] of [
      ['the namespace is ending', { state: 'expiring' }, []],
      ['the namespace has ended', { state: 'deleted' }, []],
      ['the namespace has another incarnation', { incarnation: 'next' }, []],
      ['the namespace is forgotten', undefined, []],
      ['the queue is exempt by now', {}, ['queue/taskcluster-x/.*']],
    ] as const) {
      it(`is told of to its owner, where the alert is ${level} and ${what}`, async () => {
        const { told, mails, left } = await scene(level, owner, [...exempt]);
        assert.deepEqual(told, [`deleted ${alertOf().queue}`]);
        assert.deepEqual(mails, [`queue-deletion ${OWNER}`]);
        assert.equal(left, undefined);
      });
    }
  }

  it('is told of to nobody, where the call had not gone out', async () => {
    const { told, mails, left } = await scene('over', { state: 'deleted' });
    assert.deepEqual([told, mails, left], [[], [], undefined]);
  });
});
