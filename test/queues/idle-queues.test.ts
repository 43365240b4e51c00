import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { createMemoryStore } from '../support/memory-store.ts';
import { createQueueRoom } from '../support/queue-room.ts';
import { alertOf, exemptionOf, recordOf } from '../support/records.ts';

const QUEUE = alertOf().queue;
const HOUR = 3_600_000;
const { signal } = new AbortController();
const RULE = { match: 'taskcluster-x', idleExpirySeconds: 3600 };

function scene() {
  const store = createMemoryStore();
  const room = createQueueRoom(store, { rules: [RULE], showsUse: true });
  store.put(recordOf(room.clock.nowMs(), { expiresMs: room.clock.nowMs() + 1e10 }));
  room.depths.set(QUEUE, 3);
  return {
    ...room,
    store,
    /** Surveys every five minutes, as the gaps of one agent may be, for so long. */
    pass: async (ms: number): Promise<void> => {
      for (let passedMs = 0; passedMs < ms; passedMs += HOUR / 12) {
        room.clock.advance(HOUR / 12);
        await room.survey(signal);
        assert.deepEqual(room.errors, []);
      }
    },
  };
}

describe('the expiry of idle queues', () => {
  it('notifies the owner, and deletes after as long again', async () => {
    const { reported, depths, store, pass } = scene();
    await pass(HOUR);
    assert.deepEqual(reported, []);
    await pass(HOUR / 6);
    assert.deepEqual(reported, [`idle ${QUEUE}`]);
    await pass((HOUR * 5) / 6);
    assert.ok(depths.has(QUEUE));
    await pass(HOUR / 3);
    assert.deepEqual(reported, [`idle ${QUEUE}`, `expired ${QUEUE}`]);
    assert.ok(!depths.has(QUEUE));
    assert.deepEqual(await store.queueAlerts.list({ limit: 10 }), []);
  });

  it('ends with a consumer or a message, and begins again after that', async () => {
    for (const use of ['consumer', 'message'] as const) {
      const { reported, depths, consumers, store, pass } = scene();
      await pass(1.5 * HOUR);
      if (use === 'consumer') consumers.set(QUEUE, 1);
      else depths.set(QUEUE, 4);
      await pass(HOUR / 12);
      assert.deepEqual(await store.queueAlerts.list({ limit: 10 }), []);
      consumers.delete(QUEUE);
      await pass(0.9 * HOUR);
      assert.deepEqual(reported, [`idle ${QUEUE}`]);
      await pass(HOUR / 2);
      assert.deepEqual(reported, [`idle ${QUEUE}`, `idle ${QUEUE}`]);
    }
  });

  it('waits for the end of an exemption', async () => {
    const { reported, clock, store, depths, pass } = scene();
    await store.queueExemptions.insert(exemptionOf({ queue: QUEUE, untilMs: clock.nowMs() + 4 * HOUR }));
    await pass(3.9 * HOUR);
    assert.ok(depths.has(QUEUE));
    await pass(HOUR);
    assert.deepEqual(reported.at(-1), `expired ${QUEUE}`);
  });

  it('knows nothing of the time in which it saw nothing', async () => {
    const { reported, clock, survey, pass } = scene();
    await pass(0.9 * HOUR);
    clock.advance(5 * HOUR);
    await survey(signal);
    assert.deepEqual(reported, []);
    await pass(0.9 * HOUR);
    assert.deepEqual(reported, []);
  });

  it('holds in every history: no queue with a consumer is deleted, and none without a notice', async () => {
    const step = fc.record({
      minutes: fc.integer({ min: 1, max: 9 }),
      consumers: fc.constantFrom(0, 0, 0, 0, 1),
      published: fc.constantFrom(0, 0, 0, 1),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        const { depths, consumers, clock, survey, reported } = scene();
        for (const { minutes, consumers: count, published } of steps) {
          clock.advance(minutes * 60_000);
          if (depths.has(QUEUE)) depths.set(QUEUE, (depths.get(QUEUE) ?? 0) + published);
          consumers.set(QUEUE, count);
          const before = reported.length;
          await survey(signal);
          if (reported.slice(before).includes(`expired ${QUEUE}`)) {
            assert.equal(count, 0);
            assert.ok(reported.slice(0, before).includes(`idle ${QUEUE}`));
          }
        }
      }),
      { numRuns: 100 },
    );
  });
});
