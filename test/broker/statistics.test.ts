import assert from 'node:assert/strict';
import type { NodeUptime } from '../../src/broker/management/management.ts';
import { measureStatistics, statisticsLagMs, type StatisticsState, unmetDuties } from '../../src/broker/statistics.ts';
import { checkStatistics } from '../../src/verify/statistics-step.ts';
import { createManualClock } from '../support/manual-clock.ts';

const { signal } = new AbortController();

/** Measures nodes that collect their uptime at these intervals, in ms; undefined: never. */
async function measure(
  intervals: Readonly<Record<string, number | undefined>>,
  options: { readonly off?: boolean; readonly pauseMs?: number } = {},
): Promise<{ state: StatisticsState; tookMs: number }> {
  const clock = createManualClock();
  const startedMs = clock.monotonicMs();
  const uptimeAt = (intervalMs: number): number => {
    const ranMs = 1_234_567 + clock.monotonicMs() - startedMs;
    return ranMs - (ranMs % intervalMs);
  };
  const state = await measureStatistics(
    {
      overview: async () => ({
        rabbitmqVersion: '4.0.5',
        erlangVersion: '27',
        clusterName: 'test',
        areStatisticsOff: options.off ?? false,
      }),
      listUptimes: async () =>
        Object.entries(intervals).map(
          ([node, intervalMs]): NodeUptime =>
            intervalMs === undefined ? { node } : { node, uptimeMs: uptimeAt(intervalMs) },
        ),
    },
    { clock, sleep: async (ms) => clock.advance(options.pauseMs ?? ms) },
    signal,
  );
  return { state, tookMs: clock.monotonicMs() - startedMs };
}

describe('the statistics of RabbitMQ', () => {
  it('are measured by the growth of the uptime that they hold', async () => {
    const { state, tookMs } = await measure({ a: 5_000 });
    assert.deepEqual(state, { is: 'on', intervalMs: 5_000 });
    assert.ok(tookMs <= 6_000);
    assert.deepEqual((await measure({ a: 5_000, b: 10_000 })).state, { is: 'on', intervalMs: 10_000 });
  });

  it('are slow where a node collects them rarely', async () => {
    for (const intervals of [{ a: 60_000 }, { a: 5_000, b: 60_000 }]) {
      const { state, tookMs } = await measure(intervals);
      assert.deepEqual(state, { is: 'slow' });
      assert.ok(tookMs <= 13_000);
    }
  });

  it('are off where RabbitMQ says so, or where a node has none', async () => {
    assert.deepEqual(await measure({ a: undefined }, { off: true }), { state: { is: 'off' }, tookMs: 0 });
    assert.deepEqual((await measure({ a: 5_000, b: undefined })).state, { is: 'off' });
  });

  it('are not measured by samples that are far apart', async () => {
    assert.deepEqual((await measure({ a: 5_000 }, { pauseMs: 4_000 })).state, { is: 'slow' });
  });

  it('lag by their interval and a cache, and for ever where it is not known', () => {
    assert.equal(statisticsLagMs({ is: 'on', intervalMs: 5_000 }), 8_000);
    for (const is of ['unknown', 'off', 'slow'] as const) assert.equal(statisticsLagMs({ is }), Infinity);
  });

  it('leave duties of the agent undone, which verify names', () => {
    const dutiesOf = (state: StatisticsState, watchesBytes: boolean) => [...unmetDuties(state, watchesBytes).keys()];
    const on = { is: 'on', intervalMs: 5_000 } as const;
    assert.deepEqual(dutiesOf(on, true), []);
    assert.deepEqual(dutiesOf({ is: 'slow' }, true), ['queue-bytes']);
    assert.deepEqual(dutiesOf({ is: 'slow' }, false), []);
    assert.deepEqual(dutiesOf({ is: 'off' }, false), ['exclusive-queues', 'connection-age']);
    assert.equal(checkStatistics(on, true).outcome, 'ok');
    assert.equal(checkStatistics({ is: 'slow' }, false).outcome, 'ok');
    assert.match(checkStatistics({ is: 'slow' }, true).said, /queue-bytes: /);
    const { outcome, said, remedy } = checkStatistics({ is: 'off' }, true);
    assert.equal(outcome, 'warning');
    assert.match(said, /queue-bytes: .*exclusive-queues: .*connection-age: /);
    assert.match(remedy ?? '', /management_agent\.disable_metrics_collector/);
    assert.equal(checkStatistics({ is: 'unknown' }, true).outcome, 'failed');
  });
});
