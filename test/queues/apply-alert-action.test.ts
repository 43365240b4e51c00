import assert from 'node:assert/strict';
import { GATHER_MS } from '../../src/notices/decide-notice.ts';
import { createMemoryStore } from '../support/memory-store.ts';
import { createQueueRoom } from '../support/queue-room.ts';
import { alertOf, exemptionOf, recordOf } from '../support/records.ts';

const QUEUE = alertOf().queue;
const { signal } = new AbortController();
const DAYS_MS = 3 * 24 * 3_600_000;

describe('a namespace that gets a contact after one of its queues was warned of', () => {
  it('is sent a warning with the current depth before the queue is deleted', async () => {
    const store = createMemoryStore();
    const room = createQueueRoom(store, { beforeDelete: () => assert.fail('no owner was warned') });
    const { clock, depths } = room;
    store.put(recordOf(clock.nowMs(), { contact: null }));
    depths.set(QUEUE, 5000);
    await room.survey(signal);
    assert.deepEqual(room.reported, [`warned ${QUEUE}`]);
    clock.advance(DAYS_MS);
    store.put(recordOf(clock.nowMs(), { contact: 'owner@example.org' }));
    depths.set(QUEUE, 9000);
    await room.survey(signal);
    const [notice] = await store.notices.due({ beforeMs: clock.nowMs() + GATHER_MS, limit: 1 });
    // With the time of the first survey a single failure would be the last attempt: a notice is abandoned after a day.
    assert.deepEqual([notice?.kind, notice?.messages, notice?.seenMs], ['queue-warning', 9000, clock.nowMs()]);
    assert.deepEqual(room.errors, []);
  });
});

describe('the notices of a queue that grows and is drained', () => {
  const contact = 'owner@example.org';

  it('say when it is deleted at the rate that surveys have shown, in messages or in bytes', async () => {
    const store = createMemoryStore();
    const room = createQueueRoom(store);
    const { clock, depths, sizes } = room;
    const heavy = `${QUEUE}-heavy`;
    store.put(recordOf(clock.nowMs(), { contact }));
    for (const [messages, bytes] of [
      [3000, 0],
      [4200, 1_200_000],
    ] as const) {
      depths.set(QUEUE, messages);
      depths.set(heavy, 100);
      sizes.set(heavy, { name: heavy, messages: 90, bytes });
      await room.survey(signal);
      clock.advance(60_000);
    }
    const notices = await store.notices.due({ beforeMs: clock.nowMs(), limit: 9 });
    const seenMs = clock.nowMs() - 60_000;
    const of = (queue: string) => notices.find((notice) => notice.queue === queue)?.forecast;
    assert.deepEqual(of(QUEUE), { unit: 'messages', perMinute: 1200, reachedMs: seenMs + (3800 / 1200) * 60_000 });
    assert.deepEqual(of(heavy), { unit: 'bytes', perMinute: 1_200_000, reachedMs: seenMs + (8 / 12) * 60_000 });
    assert.deepEqual(room.errors, []);
  });

  it('say nothing of a rate that is not known, as at the first survey of an agent', async () => {
    const store = createMemoryStore();
    const room = createQueueRoom(store);
    store.put(recordOf(room.clock.nowMs(), { contact }));
    room.depths.set(QUEUE, 4200);
    await room.survey(signal);
    const [notice] = await store.notices.due({ beforeMs: room.clock.nowMs() + GATHER_MS, limit: 9 });
    assert.ok(notice !== undefined && !('forecast' in notice));
  });

  it('say from which depth it was drained, also one that only surveys saw', async () => {
    const store = createMemoryStore();
    const room = createQueueRoom(store);
    const { clock, depths } = room;
    store.put(recordOf(clock.nowMs(), { contact }));
    for (const messages of [4200, 7000, 7100, 6000, 100]) {
      depths.set(QUEUE, messages);
      await room.survey(signal);
      clock.advance(60_000);
    }
    const notices = await store.notices.due({ beforeMs: clock.nowMs(), limit: 9 });
    const recovery = notices.find(({ kind }) => kind === 'queue-recovered');
    // 7,100 is hardly more than 7,000, and not written.
    assert.deepEqual([recovery?.messages, recovery?.peakMessages], [100, 7000]);
    assert.deepEqual(room.errors, []);
  });

  it('say it, too, where an exempt queue has passed the threshold for deletion', async () => {
    const store = createMemoryStore();
    const room = createQueueRoom(store, { beforeDelete: () => assert.fail('it is exempt') });
    const { clock, depths } = room;
    store.put(recordOf(clock.nowMs(), { contact }));
    await store.queueExemptions.insert(exemptionOf({ untilMs: clock.nowMs() + DAYS_MS }));
    for (const messages of [4200, 9000, 50_000, 100]) {
      depths.set(QUEUE, messages);
      await room.survey(signal);
      clock.advance(60_000);
    }
    const notices = await store.notices.due({ beforeMs: clock.nowMs(), limit: 9 });
    assert.equal(notices.find(({ kind }) => kind === 'queue-recovered')?.peakMessages, 50_000);
  });
});
