import assert from 'node:assert/strict';
import { createInspect } from '../../src/queues/inspect-queue.ts';
import { createMemoryStore } from '../support/memory-store.ts';
import { createQueueRoom, LIMITS, type QueueRoom } from '../support/queue-room.ts';
import { alertOf, recordOf } from '../support/records.ts';

const QUEUE = alertOf().queue;
const { signal } = new AbortController();

/**
 * An agent that looks at a queue which is too deep, while another one is done with it: has deleted it, or has seen it small
 * again, and forgets its alert.
 */
async function scene(isDeleted: boolean) {
  const store = createMemoryStore();
  const otherEnds = async (): Promise<void> => {
    if (isDeleted) room.depths.delete(QUEUE);
    else room.depths.set(QUEUE, 0);
    await store.queueAlerts.remove(QUEUE, 1);
  };
  const room: QueueRoom = createQueueRoom(store, { afterListing: otherEnds });
  const record = recordOf(room.clock.nowMs(), { contact: 'owner@example.org' });
  store.put(record);
  const alert = alertOf({ level: 'warned', changedMs: room.clock.nowMs() - 60_000 });
  await store.queueAlerts.insert(alert);
  await room.notices.addWarning(record, alert);
  for (const notice of await store.notices.due({ beforeMs: alert.seenMs, limit: 1 })) {
    await store.notices.replace({ ...notice, revision: 2, attempts: 1, state: 'sent' }, 1);
  }
  room.depths.set(QUEUE, 9000);
  const inspect = createInspect({
    ...room,
    management: { getQueue: async (_vhost, name) => ({ name, type: 'classic' }) },
    vhost: '/',
    readyCounts: {
      async read(queues) {
        const counts = new Map([...room.depths].filter(([queue]) => queues.includes(queue)));
        if ((await store.queueAlerts.get(QUEUE)) !== undefined) await otherEnds();
        return counts;
      },
    },
    store: store.queueAlerts,
    limits: LIMITS,
    onGrowing: () => undefined,
  });
  return { ...room, store, inspect };
}

describe('a queue that another agent is done with while it is looked at', () => {
  for (const [what, isDeleted] of [
    ['deleted', true],
    ['small again', false],
  ] as const) {
    it(`is not warned of anew by a survey, where it is ${what}`, async () => {
      const { survey, store, told, faults } = await scene(isDeleted);
      await survey(signal);
      assert.deepEqual([told, faults], [[], []]);
      assert.equal(await store.queueAlerts.get(QUEUE), undefined);
    });

    it(`is not warned of anew by a look at it alone, where it is ${what}`, async () => {
      const { inspect, store, told, faults } = await scene(isDeleted);
      await inspect([QUEUE], signal);
      assert.deepEqual([told, faults], [[], []]);
      assert.equal(await store.queueAlerts.get(QUEUE), undefined);
    });
  }
});

describe('a survey', () => {
  it('comes to those first that nobody has warned of: deletions take their time', async () => {
    const store = createMemoryStore();
    const room = createQueueRoom(store, {
      async beforeDelete() {
        assert.equal(room.told[0], 'warned queue/taskcluster-x/new');
      },
    });
    store.put(recordOf(room.clock.nowMs()));
    for (const name of ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i']) {
      const queue = `queue/taskcluster-x/${name}`;
      await store.queueAlerts.insert(alertOf({ queue, level: 'warned', changedMs: room.clock.nowMs() - 60_000 }));
      room.depths.set(queue, 9000);
    }
    room.depths.set('queue/taskcluster-x/new', 5000);
    await room.survey(signal);
    assert.deepEqual(room.faults, []);
    assert.equal(room.told.length, 10);
  });
});
