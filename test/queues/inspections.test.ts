import assert from 'node:assert/strict';
import { createGrowth } from '../../src/queues/growth.ts';
import { createInspect } from '../../src/queues/inspect-queue.ts';
import type { SeenQueue } from '../../src/queues/process-queues.ts';
import { createConfirmDepth } from '../../src/queues/confirm-depth.ts';
import { createManualClock } from '../support/manual-clock.ts';
import { createMemoryStore } from '../support/memory-store.ts';

const LIMITS = { warnAtMessages: 4000, deleteAtMessages: 8000 };
const { signal } = new AbortController();

/** A broker with these ready messages and types of queues; without a type there is no such queue. */
function broker(ready: Record<string, number>, types: Record<string, string>) {
  return {
    readyCounts: {
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

describe('a look at single queues', () => {
  it('judges those that are deep and whose depth counts: no stream, and no type that is unknown', async () => {
    const depths = { classic: 4000, quorum: 9000, stream: 9000, future: 9000, gone: 9000, small: 3999 };
    const types = { classic: 'classic', quorum: 'quorum', stream: 'stream', future: 'new', small: 'classic' };
    const judged: SeenQueue[] = [];
    const inspect = createInspect({
      ...broker(depths, types),
      vhost: '/',
      store: createMemoryStore().queueAlerts,
      judge: async (seen) => void judged.push(...seen),
      growth: createGrowth({ limits: LIMITS, horizonMs: 60_000 }),
      clock: createManualClock(),
      limits: LIMITS,
      onGrowing: () => undefined,
    });
    await inspect(Object.keys(depths), signal);
    assert.deepEqual(
      judged.map(({ queue, depth }) => [queue, depth.messages, depth.isWhole]),
      [
        ['classic', 4000, false],
        ['quorum', 9000, false],
      ],
    );
  });
});

describe('the last look before a deletion', () => {
  it('knows nothing of a stream, nor of what no listing shows though it is there, and sees what is gone', async () => {
    const depths = { classic: 8000, stream: 9000, gone: 9000 };
    const parts = broker(depths, { classic: 'classic', stream: 'stream', crashed: 'classic' });
    const look = createConfirmDepth({ ...parts, clock: createManualClock(), vhost: '/' });
    const seen = await look('classic', 8000, signal);
    assert.equal(seen.is === 'there' && seen.messages, 8000);
    assert.deepEqual(await look('stream', 8000, signal), { is: 'unknown' });
    assert.deepEqual(await look('crashed', 8000, signal), { is: 'unknown' });
    assert.deepEqual(await look('deleted', 8000, signal), { is: 'missing' });
    assert.deepEqual(await look('never there', 8000, signal), { is: 'missing' });
  });
});
