import assert from 'node:assert/strict';
import type { CountedBytes } from '../../src/broker/management/management.ts';
import { createByteCounts } from '../../src/queues/byte-counts.ts';
import { QUEUE_LIMITS } from '../support/queue-room.ts';
import { alertOf } from '../support/records.ts';
import { createManualClock } from '../support/manual-clock.ts';

const QUEUE = alertOf().queue;
const GB = 1_000_000_000;
const { signal } = new AbortController();
const NO_ALERTS = new Set<string>();

function room(given: { warnAtBytes?: number | null; deleteAtBytes?: number | null; listingMs?: number } = {}) {
  const clock = createManualClock();
  const sizes = new Map<string, CountedBytes>();
  const inspections: [string, number][] = [];
  const warnings: unknown[] = [];
  const calls = {
    listings: 0,
    counts: 0,
    fault: undefined as Error | undefined,
    duringListing: undefined as (() => Promise<void>) | undefined,
  };
  const counts = createByteCounts({
    management: {
      async listQueueBytes() {
        calls.listings += 1;
        const listed = [...sizes.values()];
        clock.advance(given.listingMs ?? 0);
        await calls.duringListing?.();
        if (calls.fault !== undefined) throw calls.fault;
        return listed;
      },
      async getQueueBytes(_vhost, name) {
        calls.counts += 1;
        return sizes.get(name);
      },
    },
    schedule: { add: (queue, afterMs) => void inspections.push([queue, Math.round(afterMs)]) },
    config: {
      vhost: '/',
      namespacePrefix: 'taskcluster-',
      surveyIntervalSeconds: 60,
      warnAtMessages: 4000,
      deleteAtMessages: 8000,
      queues: [],
      warnAtBytes: GB,
      deleteAtBytes: 2 * GB,
      ...given,
    },
    limitsOf: () => ({ ...QUEUE_LIMITS, warnAtBytes: GB, deleteAtBytes: 2 * GB, ...given }),
    statistics: { lagMs: () => 8_000 },
    clock,
    log: { warn: (fields: unknown) => void warnings.push((fields as { readonly code: string }).code) },
  });
  return {
    clock,
    counts,
    calls,
    inspections,
    warnings,
    holds: (bytes: number, messages: number, queue = QUEUE): void =>
      void sizes.set(queue, { name: queue, bytes, messages }),
    remove: () => sizes.clear(),
  };
}

describe('the sizes of queues', () => {
  it('hold while a queue has at least the messages that were counted, and are unknown otherwise', async () => {
    const { clock, counts, holds } = room();
    holds(GB, 8);
    assert.equal(counts.sizeOf(QUEUE, 8), undefined);
    await counts.refresh(NO_ALERTS, signal);
    const known = { bytes: GB, seenMs: clock.nowMs(), lagMs: 8_000 };
    clock.advance(1_000);
    assert.deepEqual(counts.sizeOf(QUEUE, 8), known);
    assert.deepEqual(counts.sizeOf(QUEUE, 9), known);
    assert.equal(counts.sizeOf(QUEUE, 7), undefined);
    assert.equal(counts.sizeOf(QUEUE, undefined), undefined);
    counts.forget(QUEUE);
    assert.equal(counts.sizeOf(QUEUE, 8), undefined);
  });

  it('of a queue that was counted alone during a listing are not overruled by it', async () => {
    const { clock, counts, calls, holds } = room({ listingMs: 1_000 });
    holds(GB, 8);
    await counts.refresh(NO_ALERTS, signal);
    clock.advance(60_000);
    calls.duringListing = async () => {
      holds(2 * GB, 16);
      await counts.inspect([QUEUE], signal);
    };
    await counts.refresh(NO_ALERTS, signal);
    assert.deepEqual(counts.sizeOf(QUEUE, 16), { bytes: 2 * GB, seenMs: clock.nowMs(), lagMs: 8_000 });
  });

  it('are kept for large queues and those with an alert', async () => {
    const { counts, holds } = room();
    const alerted = 'queue/taskcluster-x/alerted';
    holds(100, 1);
    holds(100, 1, alerted);
    await counts.refresh(new Set([alerted]), signal);
    assert.equal(counts.sizeOf(QUEUE, 1), undefined);
    assert.equal(counts.sizeOf(alerted, 1)?.bytes, 100);
  });

  it('are listed every five seconds at most, and in a twentieth of the time', async () => {
    const fast = room();
    const slow = room({ listingMs: 1_000 });
    for (const { counts, clock } of [fast, slow]) {
      for (let second = 0; second < 60; second += 1) {
        await counts.refresh(NO_ALERTS, signal);
        clock.advance(1_000);
      }
    }
    assert.equal(fast.calls.listings, 12);
    assert.equal(slow.calls.listings, 4);
  });

  it('are unknown when they cannot be listed, or there are no statistics, which is logged', async () => {
    const { clock, counts, calls, holds, remove, warnings } = room();
    holds(GB, 8);
    await counts.refresh(NO_ALERTS, signal);
    calls.fault = new Error('no answer');
    clock.advance(5_000);
    await counts.refresh(NO_ALERTS, signal);
    assert.equal(counts.sizeOf(QUEUE, 8), undefined);
    calls.fault = undefined;
    remove();
    for (let listing = 0; listing < 5; listing += 1) {
      clock.advance(5_000);
      await counts.refresh(NO_ALERTS, signal);
    }
    assert.deepEqual(warnings, ['queue_bytes_not_listed', 'queue_bytes_unknown']);
  });

  it('are counted again when a growing queue could pass its threshold, and of no other queue', async () => {
    const { clock, counts, calls, holds, inspections } = room({ listingMs: 1_000 });
    const still = 'queue/taskcluster-x/still';
    holds(0.4 * GB, 4);
    holds(0.4 * GB, 4, still);
    await counts.refresh(NO_ALERTS, signal);
    clock.advance(19_000);
    holds(0.8 * GB, 8);
    await counts.refresh(NO_ALERTS, signal);
    assert.deepEqual(inspections, [[QUEUE, 6_000]]);
    clock.advance(6_000);
    holds(0.9 * GB, 9);
    await counts.inspect([QUEUE, still], signal);
    assert.equal(calls.counts, 1);
    assert.equal(counts.sizeOf(QUEUE, 9)?.bytes, 0.9 * GB);
    // 0.1 GB in 7 s: the rest takes 7 s, of which 80 % pass before the next count.
    assert.deepEqual(inspections[1], [QUEUE, 5_600]);
    clock.advance(7_000);
    holds(1.1 * GB, 11);
    await counts.inspect([QUEUE], signal);
    assert.equal(counts.sizeOf(QUEUE, 11)?.bytes, 1.1 * GB);
  });

  it('are not asked for where the thresholds are null', async () => {
    const { counts, calls } = room({ warnAtBytes: null, deleteAtBytes: null });
    await counts.refresh(NO_ALERTS, signal);
    await counts.inspect([QUEUE], signal);
    assert.deepEqual([calls.listings, calls.counts], [0, 0]);
  });
});
