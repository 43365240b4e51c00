import assert from 'node:assert/strict';
import { createStatisticsWatch } from '../../src/broker/statistics-watch.ts';
import type { StatisticsState } from '../../src/broker/statistics.ts';
import { createCondition } from '../support/condition.ts';
import { createManualClock } from '../support/manual-clock.ts';

const VERSIONS = { rabbitmqVersion: '4.0.5', erlangVersion: '27', clusterName: 'test' };

function make(overview: () => Promise<{ readonly areStatisticsOff: boolean }>) {
  const clock = createManualClock();
  const changes: StatisticsState['is'][] = [];
  const errors: unknown[] = [];
  const pauses: { readonly ms: number; readonly end: () => void }[] = [];
  const condition = createCondition();
  const watch = createStatisticsWatch({
    management: {
      overview: async () => ({ ...VERSIONS, ...(await overview()) }),
      listUptimes: async () => [{ node: 'a', uptimeMs: clock.monotonicMs() }],
    },
    clock,
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
        // The second between two samples.
        if (ms === 1_000) {
          clock.advance(ms);
          resolve();
          return;
        }
        pauses.push({ ms, end: resolve });
        condition.notify();
      }),
    onChange: ({ is }) => void changes.push(is),
    onError: (error) => void errors.push(error),
  });
  /** Waits for the pause after a measurement, and returns how long it is. */
  const untilPause = (count: number): Promise<number> =>
    condition.wait(() => pauses[count - 1]?.ms, { failure: () => 'no pause' });
  return { watch, changes, errors, untilPause, endPause: () => pauses.at(-1)?.end() };
}

describe('the watch of statistics', () => {
  it('measures again, sooner without statistics, and reports each change once', async () => {
    let areStatisticsOff = true;
    const { watch, changes, untilPause, endPause } = make(async () => ({ areStatisticsOff }));
    assert.deepEqual([watch.state, watch.lagMs()], [{ is: 'unknown' }, Infinity]);
    watch.start();
    assert.equal(await untilPause(1), 30_000);
    endPause();
    assert.equal(await untilPause(2), 30_000);
    areStatisticsOff = false;
    endPause();
    assert.equal(await untilPause(3), 300_000);
    assert.deepEqual(changes, ['off', 'on']);
    assert.equal(watch.lagMs(), 4_000);
    await watch.close();
  });

  it('does not know the statistics after a failure', async () => {
    let fault: Error | undefined;
    const { watch, errors, untilPause, endPause } = make(async () => {
      if (fault !== undefined) throw fault;
      return { areStatisticsOff: false };
    });
    watch.start();
    await untilPause(1);
    fault = new Error('no answer');
    endPause();
    assert.equal(await untilPause(2), 30_000);
    assert.deepEqual([watch.state, errors], [{ is: 'unknown' }, [fault]]);
    await watch.close();
  });

  it('closes while a call hangs', async () => {
    const { watch, errors } = make(() => new Promise(() => undefined));
    watch.start();
    await watch.close();
    assert.deepEqual(errors, []);
  });
});
