import assert from 'node:assert/strict';
import { GATHER_MS } from '../../src/notices/decide-notice.ts';
import { TAKEOVER_AFTER_MS } from '../../src/queues/decide-alert.ts';
import type { QueueAlertLevel } from '../../src/store/queue-alert-records.ts';
import type { NamespaceRecord } from '../../src/store/namespace-record.ts';
import { createMemoryStore } from '../support/memory-store.ts';
import { createQueueRoom } from '../support/queue-room.ts';
import { alertOf, recordOf } from '../support/records.ts';

const OWNER = 'owner@example.org';
const signal = new AbortController().signal;
const fail = (): never => assert.fail('it should not be called');

/** A missing queue, with the alert and the held notice of an agent that died after it deleted the queue. */
async function scene(level: QueueAlertLevel, owner: Partial<NamespaceRecord> | undefined, exempt: string[] = []) {
  const store = createMemoryStore();
  const deletion = { deleteFromBroker: fail, confirmDepth: fail, queueDepths: { read: fail, readCounts: fail } };
  const { clock, notices, processQueues, reported, errors } = createQueueRoom(store, {
    exemptQueues: exempt,
    deletion,
  });
  const alert = alertOf({ level, messages: 9000, changedMs: clock.nowMs() - TAKEOVER_AFTER_MS });
  await store.queueAlerts.insert(alert);
  await notices.hold('queue-deletion', recordOf(clock.nowMs(), { contact: OWNER }), alert);
  if (owner !== undefined) store.put(recordOf(clock.nowMs(), { contact: 'next@example.org', ...owner }));
  const depth = { messages: undefined, isMissing: true, isExact: true, seenMs: clock.nowMs(), lagMs: 0 };
  await processQueues([{ queue: alert.queue, depth, alert }], signal);
  assert.deepEqual(errors, []);
  const mails = await store.notices.due({ beforeMs: clock.nowMs() + GATHER_MS, limit: 10 });
  return {
    reported,
    mails: mails.map(({ kind, contact }) => `${kind} ${contact}`),
    left: await store.queueAlerts.get(alert.queue),
  };
}

describe('a queue that an agent deleted before it died', () => {
  for (const level of ['deleting', 'deleted'] as const) {
    for (const [what, owner, exempt] of [
      ['the namespace is being deleted', { state: 'expiring' }, []],
      ['the namespace is deleted', { state: 'deleted' }, []],
      ['the namespace has another incarnation', { incarnation: 'next' }, []],
      ['the namespace has no record', undefined, []],
      ['the queue is exempt now', {}, ['queue/taskcluster-x/.*']],
    ] as const) {
      it(`is reported to its owner, where the alert is ${level} and ${what}`, async () => {
        const { reported, mails, left } = await scene(level, owner, [...exempt]);
        assert.deepEqual(reported, [`deleted ${alertOf().queue}`]);
        assert.deepEqual(mails, [`queue-deletion ${OWNER}`]);
        assert.equal(left, undefined);
      });
    }
  }

  it('is not reported where no delete call was sent', async () => {
    const { reported, mails, left } = await scene('over', { state: 'deleted' });
    assert.deepEqual([reported, mails, left], [[], [], undefined]);
  });
});

describe('a queue of a reserved namespace', () => {
  it('is neither warned of nor deleted, whatever its depth and its record', async () => {
    const store = createMemoryStore();
    const deletion = { deleteFromBroker: fail, confirmDepth: fail, queueDepths: { read: fail, readCounts: fail } };
    const { clock, processQueues, reported, errors } = createQueueRoom(store, { deletion });
    store.put(recordOf(clock.nowMs(), { namespace: 'taskcluster-reserved' }));
    const queue = 'queue/taskcluster-reserved/q';
    const depth = { messages: 1_000_000, isExact: true, seenMs: clock.nowMs(), lagMs: 0 };
    await processQueues([{ queue, depth, alert: undefined }], signal);
    assert.deepEqual([reported, errors], [[], []]);
    assert.equal(await store.queueAlerts.get(queue), undefined);
  });
});
