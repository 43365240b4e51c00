import assert from 'node:assert/strict';
import { createConfirmDepth } from '../../src/queues/confirm-depth.ts';
import type { ObservedQueue } from '../../src/queues/decide-alert.ts';
import { createGrowthTracker } from '../../src/queues/growth-tracker.ts';
import { createInspectQueues } from '../../src/queues/inspect-queues.ts';
import { systemSleep } from '../../src/util/clock.ts';
import { createManualClock } from '../support/manual-clock.ts';
import { createMemoryStore } from '../support/memory-store.ts';
import { QUEUE_CONFIG } from '../support/queue-room.ts';

const { signal } = new AbortController();

/** A broker with these ready messages and types of queues. A queue without a type does not exist. */
function broker(ready: Record<string, number>, types: Record<string, string>) {
  return {
    queueDepths: {
      read: async (queues: readonly string[]) =>
        new Map(queues.flatMap((queue) => (ready[queue] === undefined ? [] : [[queue, ready[queue]] as const]))),
    },
    management: {
      async getQueue(_vhost: string, name: string) {
        const type = types[name];
        return type === undefined ? undefined : { name, type };
      },
      listQueues: async () => [],
    },
  };
}

describe('the inspection of queues', () => {
  it('processes classic and quorum queues that are deep, and no streams or unknown types', async () => {
    const depths = { classic: 4000, quorum: 9000, stream: 9000, future: 9000, missing: 9000, small: 3999 };
    const types = { classic: 'classic', quorum: 'quorum', stream: 'stream', future: 'new', small: 'classic' };
    const processed: ObservedQueue[] = [];
    const inspect = createInspectQueues({
      ...broker(depths, types),
      store: createMemoryStore(),
      processQueues: async (observed) => void processed.push(...observed),
      growth: createGrowthTracker({ limits: QUEUE_CONFIG, horizonMs: 60_000 }),
      schedule: { add: () => undefined },
      config: QUEUE_CONFIG,
      clock: createManualClock(),
    });
    await inspect(Object.keys(depths), signal);
    assert.deepEqual(
      processed.map(({ queue, depth }) => [queue, depth.messages, depth.isExact]),
      [
        ['classic', 4000, false],
        ['quorum', 9000, false],
      ],
    );
  });
});

describe('the confirmation of the depth before a deletion', () => {
  it('finds a stream, or a queue in no listing, unknown, and recognizes missing queues', async () => {
    const depths = { classic: 8000, stream: 9000, missing: 9000 };
    const parts = broker(depths, { classic: 'classic', stream: 'stream', crashed: 'classic' });
    const confirm = createConfirmDepth({
      ...parts,
      clock: createManualClock(),
      sleep: systemSleep,
      config: QUEUE_CONFIG,
    });
    const confirmed = await confirm('classic', 8000, signal);
    assert.equal(confirmed.is === 'present' && confirmed.messages, 8000);
    assert.deepEqual(await confirm('stream', 8000, signal), { is: 'unknown' });
    assert.deepEqual(await confirm('crashed', 8000, signal), { is: 'unknown' });
    assert.deepEqual(await confirm('deleted', 8000, signal), { is: 'missing' });
    assert.deepEqual(await confirm('never declared', 8000, signal), { is: 'missing' });
  });
});
