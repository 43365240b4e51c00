import assert from 'node:assert/strict';
import { createMemoryStore } from '../support/memory-store.ts';
import { createQueueRoom } from '../support/queue-room.ts';
import { alertOf, recordOf } from '../support/records.ts';

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
    const [notice] = await store.notices.due({ beforeMs: clock.nowMs(), limit: 1 });
    // With the time of the first survey a single failure would be the last attempt: a notice is abandoned after a day.
    assert.deepEqual([notice?.kind, notice?.messages, notice?.seenMs], ['queue-warning', 9000, clock.nowMs()]);
    assert.deepEqual(room.errors, []);
  });
});
