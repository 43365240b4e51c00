import assert from 'node:assert/strict';
import { createMemoryStore } from '../support/memory-store.ts';
import { createQueueRoom } from '../support/queue-room.ts';
import { alertOf, recordOf } from '../support/records.ts';

const QUEUE = alertOf().queue;
const { signal } = new AbortController();
const DAYS_MS = 3 * 24 * 3_600_000;

describe('a namespace that gets a contact after a queue of it was warned of', () => {
  it('has it warned before the queue is deleted, of what is in it then', async () => {
    const store = createMemoryStore();
    const room = createQueueRoom(store, { beforeDelete: () => assert.fail('nobody was warned') });
    const { clock, depths } = room;
    store.put(recordOf(clock.nowMs(), { contact: null }));
    depths.set(QUEUE, 5000);
    await room.survey(signal);
    assert.deepEqual(room.told, [`warned ${QUEUE}`]);
    clock.advance(DAYS_MS);
    store.put(recordOf(clock.nowMs(), { contact: 'owner@example.org' }));
    depths.set(QUEUE, 9000);
    await room.survey(signal);
    const [notice] = await store.notices.due({ beforeMs: clock.nowMs(), limit: 1 });
    // With the first look's time a single failure would be the last try: what is a day old is given up.
    assert.deepEqual([notice?.kind, notice?.messages, notice?.seenMs], ['queue-warning', 9000, clock.nowMs()]);
    assert.deepEqual(room.faults, []);
  });
});
