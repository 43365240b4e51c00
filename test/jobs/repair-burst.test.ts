import assert from 'node:assert/strict';
import { createRepairBurst, decideBurst, REPAIR_WINDOW_MS, REPAIRS_IN_A_WINDOW } from '../../src/jobs/repair-burst.ts';
import { createLog } from '../../src/util/log.ts';
import { createManualClock } from '../support/manual-clock.ts';

function scene() {
  const clock = createManualClock();
  const repaired: string[] = [];
  const slept: number[] = [];
  const underWay: Promise<void>[] = [];
  /** Ends the pause, and the comparison, that is waited for. */
  let goOn: (() => void) | undefined;
  let compared = 0;
  const pause = (): Promise<void> => new Promise((resolve) => (goOn = resolve));
  const ask = createRepairBurst({
    clock,
    log: createLog({ id: 'agent', logLevel: 'silent' }),
    repair: (namespace) => void repaired.push(namespace),
    async compare() {
      compared += 1;
      await pause();
    },
    inBackground: (work) => void underWay.push(work(new AbortController().signal)),
    async sleep(ms) {
      slept.push(ms);
      await pause();
    },
  });
  return {
    clock,
    repaired,
    slept,
    underWay,
    ask,
    burst: (from: number, to: number) => {
      for (let n = from; n < to; n += 1) ask(`taskcluster-${n}`);
    },
    compared: () => compared,
    goOn: async (): Promise<void> => {
      goOn?.();
      await new Promise(setImmediate);
    },
  };
}

describe('the repairs that a burst of events asks for', () => {
  it('are decided one by one, up to a number of namespaces in a window', () => {
    const full = { sinceMs: 1000, namespaces: new Set(Array.from({ length: REPAIRS_IN_A_WINDOW }, (_, n) => `n${n}`)) };
    assert.equal(decideBurst({ sinceMs: 1000, namespaces: new Set() }, 'x', 1000), 'repair');
    assert.equal(decideBurst(full, 'n1', 1000), 'repair');
    assert.equal(decideBurst(full, 'x', 1000 + REPAIR_WINDOW_MS - 1), 'compare');
    assert.equal(decideBurst(full, 'x', 1000 + REPAIR_WINDOW_MS), 'begin');
  });

  it('are few, and one comparison that begins after the last', async () => {
    const { repaired, slept, underWay, burst, compared, goOn } = scene();
    burst(0, 10_000);
    assert.equal(repaired.length, REPAIRS_IN_A_WINDOW);
    assert.deepEqual([underWay.length, slept, compared()], [1, [REPAIR_WINDOW_MS], 0]);
    await goOn();
    await goOn();
    await Promise.all(underWay);
    assert.equal(compared(), 1);
  });

  it('are compared once more when something was left while a comparison ran, which is never alone with another', async () => {
    const { slept, underWay, burst, compared, goOn } = scene();
    burst(0, 200);
    await goOn();
    assert.equal(compared(), 1);
    burst(200, 300);
    assert.deepEqual([underWay.length, compared()], [1, 1]);
    await goOn();
    assert.deepEqual([slept.length, compared()], [2, 1]);
    await goOn();
    await goOn();
    await Promise.all(underWay);
    assert.deepEqual([underWay.length, compared()], [1, 2]);
  });

  it('are repairs again in the next window', () => {
    const { clock, repaired, burst } = scene();
    burst(0, 200);
    clock.advance(REPAIR_WINDOW_MS);
    burst(200, 201);
    assert.equal(repaired.at(-1), 'taskcluster-200');
  });
});
