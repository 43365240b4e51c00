import assert from 'node:assert/strict';
import { createConfirmDepth } from '../../src/queues/confirm-depth.ts';
import type { ObservedQueue } from '../../src/queues/decide-alert.ts';
import { createGrowthTracker, messageGrowthLimits } from '../../src/queues/growth-tracker.ts';
import { createInspectQueues } from '../../src/queues/inspect-queues.ts';
import { systemSleep } from '../../src/util/clock.ts';
import { createManualClock } from '../support/manual-clock.ts';
import { createMemoryStore } from '../support/memory-store.ts';
import { QUEUE_CONFIG, QUEUE_LIMITS } from '../support/queue-room.ts';

const { signal } = new AbortController();

/**
 * A broker with these ready messages and types of queues. A queue without a type does not exist.
 *
 * @param down queues that are listed, and answer 404 by their name
 */
function broker(ready: Record<string, number>, types: Record<string, string>, down: readonly string[] = []) {
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
      listQueueNames: async () => [...Object.keys(types), ...down],
      getQueueBytes: async () => undefined,
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
      growth: createGrowthTracker({
        limitsOf: () => messageGrowthLimits(QUEUE_LIMITS),
        horizonMs: 60_000,
      }),
      byteCounts: { inspect: async () => undefined, sizeOf: () => undefined, forget: () => undefined },
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
    const depths = { classic: 8000, stream: 9000, missing: 9000, down: 9000 };
    const parts = broker(depths, { classic: 'classic', stream: 'stream', crashed: 'classic' }, ['down']);
    const confirm = createConfirmDepth({
      ...parts,
      statistics: { lagMs: () => 7_000 },
      clock: createManualClock(),
      sleep: systemSleep,
      config: QUEUE_CONFIG,
    });
    const confirmed = await confirm({ queue: 'classic', bytes: null }, QUEUE_LIMITS, signal);
    assert.equal(confirmed.is === 'present' && confirmed.messages, 8000);
    assert.deepEqual(await confirm({ queue: 'stream', bytes: null }, QUEUE_LIMITS, signal), { is: 'unknown' });
    assert.deepEqual(await confirm({ queue: 'crashed', bytes: null }, QUEUE_LIMITS, signal), { is: 'unknown' });
    assert.deepEqual(await confirm({ queue: 'down', bytes: null }, QUEUE_LIMITS, signal), { is: 'unknown' });
    assert.deepEqual(await confirm({ queue: 'missing', bytes: null }, QUEUE_LIMITS, signal), { is: 'missing' });
    assert.deepEqual(await confirm({ queue: 'deleted', bytes: null }, QUEUE_LIMITS, signal), { is: 'missing' });
    assert.deepEqual(await confirm({ queue: 'never declared', bytes: null }, QUEUE_LIMITS, signal), { is: 'missing' });
  });

  /** A queue that passed the threshold in bytes, as the broker shows it during the confirmation. */
  async function confirmSize(
    ready: readonly number[],
    counted: { bytes: number; messages: number } | undefined,
    listed = 0,
    lagMs = 7_000,
  ) {
    const slept: number[] = [];
    const readings = ready.values();
    const confirm = createConfirmDepth({
      management: {
        getQueue: async (_vhost, name) => ({ name, type: 'classic' }),
        listQueues: async () => [{ name: 'large', messages: listed }],
        listQueueNames: async () => ['large'],
        getQueueBytes: async (_vhost, name) => (counted === undefined ? undefined : { name, ...counted }),
      },
      queueDepths: { read: async () => new Map([['large', readings.next().value ?? 0]]) },
      statistics: { lagMs: () => lagMs },
      clock: createManualClock(),
      sleep: async (ms) => void slept.push(ms),
      config: QUEUE_CONFIG,
    });
    const confirmed = await confirm({ queue: 'large', bytes: 2_500_000 }, QUEUE_LIMITS, signal);
    if (confirmed.is !== 'present') return confirmed.is;
    const { messages, bytes, isTooDeep, enoughReady } = confirmed;
    assert.deepEqual(slept, [Number.isFinite(lagMs) ? lagMs : 6_000], 'what is read is newer than the confirmation');
    return { messages, bytes, isTooDeep, enoughReady };
  }

  it('confirms a size by statistics that are new, and by as many messages as were counted with it', async () => {
    const counted = { bytes: 2_100_000, messages: 21 };
    const large = { messages: 22, bytes: 2_100_000, isTooDeep: true };
    assert.deepEqual(await confirmSize([21, 22], counted), { ...large, enoughReady: 21 });
    // Consumers hold some of them.
    assert.deepEqual(await confirmSize([21, 3], counted, 22), { ...large, enoughReady: undefined });
  });

  it('does not confirm a size that is unknown, smaller now, or of a queue with fewer messages', async () => {
    const kept = { isTooDeep: false, enoughReady: undefined };
    assert.deepEqual(await confirmSize([21, 21], undefined, 21), { messages: 21, bytes: undefined, ...kept });
    const smaller = { bytes: 1_999_999, messages: 21 };
    assert.deepEqual(await confirmSize([21, 21], smaller, 21), { messages: 21, bytes: 1_999_999, ...kept });
    const counted = { bytes: 2_100_000, messages: 21 };
    assert.equal(await confirmSize([21, 20], counted, 20), 'unknown');
    assert.deepEqual(await confirmSize([21, 0], counted, 0), { messages: 0, bytes: 0, ...kept });
    // Statistics of unknown age may be about messages that are gone.
    assert.deepEqual(await confirmSize([21, 22], counted, 22, Infinity), { messages: 22, bytes: undefined, ...kept });
  });
});
