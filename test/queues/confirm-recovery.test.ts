import assert from 'node:assert/strict';
import { createConfirmRecovery } from '../../src/queues/confirm-recovery.ts';
import { createInspectQueues } from '../../src/queues/inspect-queues.ts';
import { createManualClock } from '../support/manual-clock.ts';
import { createMemoryStore } from '../support/memory-store.ts';
import { createQueueRoom, QUEUE_CONFIG } from '../support/queue-room.ts';
import { alertOf, recordOf } from '../support/records.ts';

const QUEUE = alertOf().queue;
const { signal } = new AbortController();

describe('the recovery of a queue', () => {
  it('needs an inspection: a listing that lags behind ends no alert, and so causes no second warning', async () => {
    const store = createMemoryStore();
    const room = createQueueRoom(store);
    const { clock, depths, listed, reported } = room;
    store.put(recordOf(clock.nowMs()));
    depths.set(QUEUE, 5500);
    listed.set(QUEUE, 0);
    const inspect = createInspectQueues({
      ...room,
      management: { getQueue: async (_vhost, name) => ({ name, type: 'quorum' }) },
      queueDepths: { read: async () => new Map(depths) },
      store,
      schedule: { add: () => undefined },
      config: QUEUE_CONFIG,
    });
    await inspect([QUEUE], signal);
    assert.deepEqual(reported, [`warned ${QUEUE}`]);
    for (const afterMs of [3_001, 2_000, 10_000]) {
      clock.advance(afterMs);
      await room.survey(signal);
    }
    listed.delete(QUEUE);
    await room.survey(signal);
    assert.deepEqual(reported, [`warned ${QUEUE}`]);
    depths.set(QUEUE, 0);
    clock.advance(10_000);
    await room.survey(signal);
    assert.deepEqual(reported, [`warned ${QUEUE}`, `recovered ${QUEUE}`]);
    assert.deepEqual(room.errors, []);
  });

  const confirm = async (
    ready: number | undefined,
    listedMessages: number | undefined,
    declared: { type: string; isUncounted?: boolean } | undefined,
  ) => {
    const clock = createManualClock();
    const confirmRecovery = createConfirmRecovery({
      management: {
        getQueue: async (_vhost, name) => (declared === undefined ? undefined : { name, ...declared }),
      },
      queueDepths: { read: async () => new Map(ready === undefined ? [] : [[QUEUE, ready]]) },
      config: QUEUE_CONFIG,
      clock,
    });
    const listed = { messages: listedMessages, isExact: true, seenMs: clock.nowMs() - 500, lagMs: 6_000 };
    const confirmed = await confirmRecovery(QUEUE, listed, QUEUE_CONFIG, signal);
    return confirmed === undefined
      ? undefined
      : [confirmed.messages, clock.nowMs() - confirmed.seenMs, confirmed.lagMs];
  };

  it('is confirmed where the queue is small by the listing, which counts all, and by the inspection, which is current', async () => {
    const quorum = { type: 'quorum' };
    assert.deepEqual(await confirm(3, 5, quorum), [5, 0, 0]);
    assert.deepEqual(await confirm(5, 3, quorum), [5, 0, 0]);
    assert.deepEqual(await confirm(1999, 0, quorum), [1999, 0, 0]);
    assert.equal(await confirm(2000, 0, quorum), undefined);
  });

  it('is not confirmed where the depth is unknown', async () => {
    assert.equal(await confirm(0, undefined, { type: 'quorum' }), undefined);
    assert.equal(await confirm(undefined, 0, undefined), undefined, 'missing');
    assert.equal(await confirm(undefined, 0, { type: 'quorum' }), undefined);
    assert.equal(await confirm(0, 0, { type: 'quorum', isUncounted: true }), undefined, 'a quorum queue that is down');
  });

  it('of an exclusive queue, which no other connection may inspect, is confirmed by the listing', async () => {
    assert.deepEqual(await confirm(undefined, 5, { type: 'classic' }), [5, 500, 6_000]);
  });
});
