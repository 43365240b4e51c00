import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import type { QueueThresholds } from '../../src/config/queue-rules.ts';
import { forecastQueue, type Growth } from '../../src/queues/forecast-queue.ts';

const LIMITS: QueueThresholds = {
  warnAtMessages: 4000,
  deleteAtMessages: 8000,
  warnAtBytes: 1_000_000,
  deleteAtBytes: 2_000_000,
};
const NOW = Date.parse('2026-11-24T12:00:00Z');
const MINUTE_MS = 60_000;

/** From `before` a minute ago to `amount` now. */
const growth = (before: number, amount: number): Growth => ({
  earlier: { amount: before, seenMs: NOW - MINUTE_MS },
  latest: { amount, seenMs: NOW },
});
const once = (amount: number): Growth => ({ latest: { amount, seenMs: NOW } });

describe('the forecast of a queue', () => {
  it('says when the next threshold is reached at the present rate', () => {
    assert.deepEqual(forecastQueue({ messages: growth(2900, 3000) }, 'warn', LIMITS), {
      messagesPerMinute: 100,
      bytesPerMinute: undefined,
      next: { action: 'warn', unit: 'messages', at: 4000, reachedMs: NOW + 10 * MINUTE_MS },
    });
    assert.deepEqual(forecastQueue({ messages: growth(4900, 5000) }, 'delete', LIMITS).next, {
      action: 'delete',
      unit: 'messages',
      at: 8000,
      reachedMs: NOW + 30 * MINUTE_MS,
    });
  });

  it('is past a threshold from when that was observed', () => {
    assert.equal(forecastQueue({ messages: once(4000) }, 'warn', LIMITS).next?.reachedMs, NOW);
    assert.equal(forecastQueue({ messages: growth(9000, 8500) }, 'delete', LIMITS).next?.reachedMs, NOW);
  });

  it('distinguishes a queue that does not grow from one whose rate is unknown', () => {
    const idle = forecastQueue({ messages: growth(3000, 3000) }, 'warn', LIMITS);
    assert.deepEqual([idle.messagesPerMinute, idle.next?.reachedMs], [0, null]);
    const shrinks = forecastQueue({ messages: growth(3000, 2000) }, 'warn', LIMITS);
    assert.deepEqual([shrinks.messagesPerMinute, shrinks.next?.reachedMs], [-1000, null]);
    const unknown = forecastQueue({ messages: once(3000) }, 'warn', LIMITS);
    assert.deepEqual([unknown.messagesPerMinute, unknown.next?.reachedMs], [undefined, undefined]);
    const tooClose = { earlier: { amount: 0, seenMs: NOW - 499 }, latest: { amount: 3000, seenMs: NOW } };
    assert.equal(forecastQueue({ messages: tooClose }, 'warn', LIMITS).messagesPerMinute, undefined);
  });

  it('knows nothing of a queue whose depth is unknown', () => {
    assert.deepEqual(forecastQueue({}, 'warn', LIMITS), {
      messagesPerMinute: undefined,
      bytesPerMinute: undefined,
      next: undefined,
    });
  });

  it('has no next threshold where the agents do nothing', () => {
    const forecast = forecastQueue({ messages: growth(3000, 9000) }, undefined, LIMITS);
    assert.deepEqual([forecast.messagesPerMinute, forecast.next], [6000, undefined]);
  });

  it('names the threshold in messages or in bytes, whichever comes first', () => {
    const next = (messages: Growth, bytes: Growth | undefined, limits = LIMITS): string | undefined =>
      forecastQueue({ messages, bytes }, 'warn', limits).next?.unit;
    assert.equal(next(growth(0, 100), growth(0, 500_000)), 'bytes');
    assert.equal(next(growth(0, 2000), growth(0, 1000)), 'messages');
    assert.equal(next(growth(100, 100), growth(999_000, 999_000)), 'bytes', 'neither grows: the nearer one');
    assert.equal(next(growth(100, 100), once(10)), 'messages', 'the nearer one, although the rate of bytes is unknown');
    assert.equal(next(growth(100, 100), once(999_000)), 'bytes');
    assert.equal(next(growth(0, 100), undefined), 'messages');
    const withoutBytes = { ...LIMITS, warnAtBytes: null, deleteAtBytes: null };
    assert.equal(next(growth(0, 100), growth(0, 999_999), withoutBytes), 'messages');
  });

  it('is never further than a year away, and holds for any growth', () => {
    assert.equal(forecastQueue({ bytes: growth(0, 1) }, 'delete', LIMITS).next?.reachedMs, null);
    fc.assert(
      fc.property(fc.nat(10_000), fc.nat(10_000), fc.integer({ min: 500, max: 600_000 }), (before, amount, tookMs) => {
        const messages = {
          earlier: { amount: before, seenMs: NOW - tookMs },
          latest: { amount, seenMs: NOW },
        };
        const { messagesPerMinute = NaN, next } = forecastQueue({ messages }, 'delete', LIMITS);
        assert.ok(next !== undefined && next.reachedMs !== undefined);
        if (amount >= LIMITS.deleteAtMessages) assert.equal(next.reachedMs, NOW);
        else if (amount <= before) assert.equal(next.reachedMs, null);
        else if (next.reachedMs !== null) {
          const grownMinutes = (next.reachedMs - NOW) / MINUTE_MS;
          // It is rounded to a millisecond.
          const tolerance = messagesPerMinute / MINUTE_MS;
          assert.ok(Math.abs(amount + grownMinutes * messagesPerMinute - LIMITS.deleteAtMessages) <= tolerance);
        }
      }),
    );
  });
});
