import assert from 'node:assert/strict';
import { createInspectQueues } from '../../src/queues/inspect-queues.ts';
import { surveyPauseMs } from '../../src/queues/survey-pause.ts';
import { momentOf } from '../../src/util/clock.ts';
import { createMemoryStore } from '../support/memory-store.ts';
import { createQueueRoom, QUEUE_CONFIG, type QueueRoom } from '../support/queue-room.ts';
import { alertOf, recordOf } from '../support/records.ts';

const QUEUE = alertOf().queue;
const { signal } = new AbortController();

/** An agent that observes a deep queue while another agent deletes it, or finds it recovered, and removes its alert. */
async function scene(isDeleted: boolean) {
  const store = createMemoryStore();
  const finishElsewhere = async (): Promise<void> => {
    if (isDeleted) room.depths.delete(QUEUE);
    else room.depths.set(QUEUE, 0);
    await store.queueAlerts.remove(QUEUE, 1);
  };
  const room: QueueRoom = createQueueRoom(store, { afterListing: finishElsewhere });
  const record = recordOf(room.clock.nowMs(), { contact: 'owner@example.org' });
  store.put(record);
  const alert = alertOf({ level: 'warned', changedMs: room.clock.nowMs() - 60_000 });
  await store.queueAlerts.insert(alert);
  await room.notices.addWarning(record, alert);
  for (const notice of await store.notices.due({ beforeMs: Infinity, limit: 1 })) {
    await store.notices.replace({ ...notice, revision: 2, attempts: 1, state: 'sent' }, 1);
  }
  room.depths.set(QUEUE, 9000);
  const inspect = createInspectQueues({
    ...room,
    management: { getQueue: async (_vhost, name) => ({ name, type: 'classic' }) },
    queueDepths: {
      async read(queues) {
        const depths = new Map([...room.depths].filter(([queue]) => queues.includes(queue)));
        if ((await store.queueAlerts.get(QUEUE)) !== undefined) await finishElsewhere();
        return depths;
      },
    },
    store,
    schedule: { add: () => undefined },
    config: QUEUE_CONFIG,
  });
  return { ...room, store, inspect };
}

describe('a queue that another agent finishes with while it is observed', () => {
  for (const [what, isDeleted] of [
    ['deleted', true],
    ['recovered', false],
  ] as const) {
    it(`is not warned of again by a survey, where it is ${what}`, async () => {
      const { survey, store, reported, errors } = await scene(isDeleted);
      await survey(signal);
      assert.deepEqual([reported, errors], [[], []]);
      assert.equal(await store.queueAlerts.get(QUEUE), undefined);
    });

    it(`is not warned of again by an inspection, where it is ${what}`, async () => {
      const { inspect, store, reported, errors } = await scene(isDeleted);
      await inspect([QUEUE], signal);
      assert.deepEqual([reported, errors], [[], []]);
      assert.equal(await store.queueAlerts.get(QUEUE), undefined);
    });
  }
});

describe('a survey', () => {
  it('processes queues without an alert first, as deletions take time', async () => {
    const store = createMemoryStore();
    const room = createQueueRoom(store, {
      async beforeDelete() {
        assert.equal(room.reported[0], 'warned queue/taskcluster-x/new');
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
    assert.deepEqual(room.errors, []);
    assert.equal(room.reported.length, 10);
  });
});

describe('a survey of sizes', () => {
  it('warns of a queue with few large messages, deletes it, and ignores a size of more messages than there are', async () => {
    const store = createMemoryStore();
    const room = createQueueRoom(store, {
      deletion: {
        confirmDepth: async ({ queue, bytes }) => ({
          is: 'present',
          messages: room.depths.get(queue) ?? 0,
          bytes: bytes ?? 0,
          isTooDeep: (bytes ?? 0) >= QUEUE_CONFIG.deleteAtBytes,
          enoughReady: 3,
          seenAt: momentOf(room.clock),
        }),
      },
    });
    store.put(recordOf(room.clock.nowMs()));
    const survey = async (messages: number, bytes: number): Promise<string[]> => {
      room.clock.advance(10_000);
      room.depths.set(QUEUE, messages);
      room.sizes.set(QUEUE, { name: QUEUE, bytes, messages: 3 });
      await room.survey(signal);
      return room.reported.splice(0);
    };
    assert.deepEqual(await survey(3, 999_999), []);
    assert.deepEqual(await survey(2, 9_000_000), [], 'it was drained since');
    assert.deepEqual(await survey(3, 1_000_000), [`warned ${QUEUE}`]);
    assert.deepEqual(await survey(3, 1_999_999), []);
    assert.deepEqual(await survey(2, 9_000_000), []);
    assert.deepEqual(await survey(3, 2_000_000), [`deleted ${QUEUE}`]);
    assert.deepEqual(room.errors, []);
  });
});

describe('the pause between surveys', () => {
  it('keeps listings to a twentieth of the time, within one second and the configured interval', () => {
    assert.equal(surveyPauseMs(600, 60_000), 12_000);
    assert.equal(surveyPauseMs(5, 60_000), 1_000);
    assert.equal(surveyPauseMs(5_000, 60_000), 60_000);
    assert.equal(surveyPauseMs(5, 500), 500);
  });
});

describe('a queue with an alert that crashes', () => {
  it('keeps its alert, and is not warned of again when it is back', async () => {
    const store = createMemoryStore();
    const room = createQueueRoom(store);
    store.put(recordOf(room.clock.nowMs(), { contact: 'owner@example.org' }));
    await store.queueAlerts.insert(alertOf({ level: 'warned', changedMs: room.clock.nowMs() - 60_000 }));
    room.crashed.add(QUEUE);
    await room.survey(signal);
    assert.equal((await store.queueAlerts.get(QUEUE))?.level, 'warned');
    room.crashed.delete(QUEUE);
    room.depths.set(QUEUE, 5000);
    await room.survey(signal);
    assert.deepEqual([room.reported, room.errors], [[], []]);
    room.depths.delete(QUEUE);
    await room.survey(signal);
    assert.equal(await store.queueAlerts.get(QUEUE), undefined, 'its alert ends when it is deleted');
  });
});

describe('a survey of described namespaces', () => {
  it('remembers their queues, and no others', async () => {
    const { clock, depths, history, survey } = createQueueRoom(createMemoryStore());
    depths.set(QUEUE, 7);
    depths.set('queue/taskcluster-x/empty', 0);
    depths.set('queue/taskcluster-y/other', 9);
    await survey(signal);
    history.watch('taskcluster-x');
    const seenMs = clock.nowMs();
    await survey(signal);
    const listings = history.of('taskcluster-x');
    assert.deepEqual(
      listings.map(({ amounts, depthsAt }) => [
        depthsAt.wallMs,
        [...amounts].map(([name, { messages }]) => [name, messages]),
      ]),
      [
        [
          seenMs,
          [
            [QUEUE, 7],
            ['queue/taskcluster-x/empty', 0],
          ],
        ],
      ],
    );
    assert.deepEqual(history.of('taskcluster-y'), []);
  });
});
