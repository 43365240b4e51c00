import assert from 'node:assert/strict';
import type { CountedBytes, ListedQueue } from '../../src/broker/management/management.ts';
import type { QueueGrowth } from '../../src/queues/forecast-queue.ts';
import { startGrowthMeasurement } from '../../src/queues/measure-growth.ts';
import { QUEUE_CONFIG } from '../support/queue-room.ts';
import { createManualClock } from '../support/manual-clock.ts';

const QUEUE = 'queue/taskcluster-x/q';
const OVER_MS = 10_000;
const signal = new AbortController().signal;

interface Listed {
  readonly queues: readonly ListedQueue[];
  readonly sizes?: readonly CountedBytes[];
}

/** Measures with these two listings. */
async function measure(
  first: Listed,
  second: Listed,
  { warnAtBytes = 1000, overMs = OVER_MS, setClockBackMs = 0 } = {},
) {
  const clock = createManualClock();
  let listings = 0;
  const current = (): Listed => (listings <= 1 ? first : second);
  const management = {
    listQueueBytes: async () => [...(current().sizes ?? [])],
    async visitQueues(_vhost: string, visit: (queue: ListedQueue) => void) {
      for (const queue of current().queues) visit(queue);
    },
  };
  const parts = {
    management: {
      ...management,
      listQueueBytes: async () => {
        listings += 1;
        return await management.listQueueBytes();
      },
    },
    config: { ...QUEUE_CONFIG, warnAtBytes },
    clock,
    sleep: async (ms: number) => {
      clock.advance(ms);
      if (setClockBackMs > 0) clock.setWall(clock.nowMs() - setClockBackMs);
    },
  };
  const measurement = await startGrowthMeasurement(parts, signal);
  return { growth: await measurement.finish(overMs), listings: () => listings };
}

function ratesOf({ messages, bytes }: QueueGrowth = {}): (string | undefined)[] {
  const rate = (growth: QueueGrowth['messages']): string | undefined => {
    if (growth?.earlier === undefined) return undefined;
    return `${growth.latest.amount - growth.earlier.amount} in ${growth.latest.seenMs - growth.earlier.seenMs}`;
  };
  return [rate(messages), rate(bytes)];
}

const sized = (messages: number, bytes: number): CountedBytes => ({ name: QUEUE, messages, bytes });

describe('the measurement of growth', () => {
  it('compares two listings', async () => {
    const { growth } = await measure(
      { queues: [{ name: QUEUE, messages: 5 }], sizes: [sized(5, 50)] },
      { queues: [{ name: QUEUE, messages: 8 }], sizes: [sized(8, 80)] },
    );
    assert.deepEqual(ratesOf(growth.get(QUEUE)), ['3 in 10000', '30 in 10000']);
  });

  it('has no rate of a queue that only one of them shows, or whose depth one of them lacks', async () => {
    const [gone, made, stream] = ['gone', 'made', 'stream'].map((name) => `queue/taskcluster-x/${name}`) as [
      string,
      string,
      string,
    ];
    const { growth } = await measure(
      { queues: [{ name: gone, messages: 1 }, { name: stream }, { name: 'queue/other/q', messages: 1 }] },
      {
        queues: [
          { name: made, messages: 1 },
          { name: stream, messages: 3 },
          { name: 'queue/other/q', messages: 9 },
        ],
      },
    );
    assert.deepEqual([...growth.keys()], [made, stream]);
    assert.deepEqual(ratesOf(growth.get(made)), [undefined, undefined]);
    assert.deepEqual(ratesOf(growth.get(stream)), [undefined, undefined]);
    assert.equal(growth.get(stream)?.messages?.latest.amount, 3);
  });

  it('has no rate of bytes while the statistics are the same, or older than the depth', async () => {
    const queues = (messages: number): ListedQueue[] => [{ name: QUEUE, messages }];
    const stale = await measure(
      { queues: queues(5), sizes: [sized(5, 50)] },
      { queues: queues(8), sizes: [sized(5, 50)] },
    );
    assert.deepEqual(ratesOf(stale.growth.get(QUEUE)), ['3 in 10000', undefined]);
    const idle = await measure(
      { queues: queues(5), sizes: [sized(5, 50)] },
      { queues: queues(5), sizes: [sized(5, 50)] },
    );
    assert.deepEqual(ratesOf(idle.growth.get(QUEUE)), ['0 in 10000', '0 in 10000']);
    const drained = await measure(
      { queues: queues(9), sizes: [sized(9, 90)] },
      { queues: queues(2), sizes: [sized(9, 90)] },
    );
    assert.equal(drained.growth.get(QUEUE)?.bytes, undefined);
  });

  it('measures by the monotonic clock', async () => {
    const listed = (messages: number): Listed => ({ queues: [{ name: QUEUE, messages }] });
    const { growth } = await measure(listed(5), listed(8), { setClockBackMs: 3_600_000 });
    assert.deepEqual(ratesOf(growth.get(QUEUE)), ['3 in 10000', undefined]);
  });

  it('lists once, and knows no rate, where it takes no time', async () => {
    const listed: Listed = { queues: [{ name: QUEUE, messages: 5 }], sizes: [sized(5, 50)] };
    const { growth, listings } = await measure(listed, listed, { overMs: 0 });
    assert.equal(listings(), 1);
    assert.deepEqual(ratesOf(growth.get(QUEUE)), [undefined, undefined]);
    assert.equal(growth.get(QUEUE)?.messages?.latest.amount, 5);
  });
});
