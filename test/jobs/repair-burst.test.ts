import assert from 'node:assert/strict';
import {
  createRepairBurst,
  decideBurst,
  MAX_REPAIRS_IN_WINDOW,
  REPAIR_WINDOW_MS,
} from '../../src/jobs/repair-burst.ts';
import { createLog } from '../../src/util/log.ts';
import { createManualClock } from '../support/manual-clock.ts';

function setUp() {
  const clock = createManualClock();
  const repaired: string[] = [];
  const slept: number[] = [];
  const tasks: Promise<void>[] = [];
  /** Ends the pause or the reconciliation in progress. */
  let finish: (() => void) | undefined;
  let reconciled = 0;
  const pause = (): Promise<void> => new Promise((resolve) => (finish = resolve));
  const request = createRepairBurst({
    clock,
    log: createLog({ id: 'agent', logLevel: 'silent' }),
    repair: (namespace) => void repaired.push(namespace),
    async reconcile() {
      reconciled += 1;
      await pause();
    },
    runInBackground: (task) => void tasks.push(task(new AbortController().signal)),
    async sleep(ms) {
      slept.push(ms);
      await pause();
    },
  });
  return {
    clock,
    repaired,
    slept,
    tasks,
    burst: (from: number, to: number) => {
      for (let n = from; n < to; n += 1) request(`taskcluster-${n}`);
    },
    reconciled: () => reconciled,
    proceed: async (): Promise<void> => {
      finish?.();
      await new Promise(setImmediate);
    },
  };
}

describe('the repairs for a burst of events', () => {
  it('are requested one by one, up to a number of namespaces in a window', () => {
    const namespaces = new Set(Array.from({ length: MAX_REPAIRS_IN_WINDOW }, (_, n) => `n${n}`));
    const full = { sinceMs: 1000, namespaces };
    assert.equal(decideBurst({ sinceMs: 1000, namespaces: new Set() }, 'x', 1000), 'repair');
    assert.equal(decideBurst(full, 'n1', 1000), 'repair');
    assert.equal(decideBurst(full, 'x', 1000 + REPAIR_WINDOW_MS - 1), 'reconcile');
    assert.equal(decideBurst(full, 'x', 1000 + REPAIR_WINDOW_MS), 'open-window');
  });

  it('are few, and one reconciliation after the burst', async () => {
    const { repaired, slept, tasks, burst, reconciled, proceed } = setUp();
    burst(0, 10_000);
    assert.equal(repaired.length, MAX_REPAIRS_IN_WINDOW);
    assert.deepEqual([tasks.length, slept, reconciled()], [1, [REPAIR_WINDOW_MS], 0]);
    await proceed();
    await proceed();
    await Promise.all(tasks);
    assert.equal(reconciled(), 1);
  });

  it('lead to another reconciliation when more are requested during one, and never to two concurrent ones', async () => {
    const { slept, tasks, burst, reconciled, proceed } = setUp();
    burst(0, 200);
    await proceed();
    assert.equal(reconciled(), 1);
    burst(200, 300);
    assert.deepEqual([tasks.length, reconciled()], [1, 1]);
    await proceed();
    assert.deepEqual([slept.length, reconciled()], [2, 1]);
    await proceed();
    await proceed();
    await Promise.all(tasks);
    assert.deepEqual([tasks.length, reconciled()], [1, 2]);
  });

  it('are requested one by one again in the next window', () => {
    const { clock, repaired, burst } = setUp();
    burst(0, 200);
    clock.advance(REPAIR_WINDOW_MS);
    burst(200, 201);
    assert.equal(repaired.at(-1), 'taskcluster-200');
  });
});
