import assert from 'node:assert/strict';
import { createCachedCounts } from '../../src/observe/cached-counts.ts';
import { createSchedulerHealth } from '../../src/observe/health.ts';
import { createCoalesced } from '../../src/util/coalesced.ts';
import { createManualClock } from '../support/manual-clock.ts';

describe('the cost of scraping', () => {
  it('is shared by all callers within its time', async () => {
    const clock = createManualClock();
    let made = 0;
    const shared = createCoalesced(async () => (made += 1), 1000, clock);
    assert.deepEqual(await Promise.all([shared(), shared(), shared()]), [1, 1, 1]);
    clock.advance(999);
    assert.equal(await shared(), 1);
    clock.advance(1);
    assert.equal(await shared(), 2);
  });

  it('is not started again while it takes longer than its time', async () => {
    const clock = createManualClock();
    let made = 0;
    let finish = (): void => undefined;
    const shared = createCoalesced(
      () => {
        made += 1;
        return new Promise<void>((resolve) => (finish = resolve));
      },
      1000,
      clock,
    );
    const first = shared();
    clock.advance(5000);
    const second = shared();
    finish();
    await Promise.all([first, second]);
    assert.equal(made, 1);
  });

  it('is retried by the next caller after a failure', async () => {
    let made = 0;
    const shared = createCoalesced(
      async () => {
        made += 1;
        if (made === 1) throw new Error('no');
      },
      1000,
      createManualClock(),
    );
    await assert.rejects(shared());
    await shared();
  });

  it('for counts is limited to a moment; a late count is used by the next scrape', async () => {
    const counts: (number | undefined)[] = [];
    let finish = (_count: number): void => undefined;
    const bring = createCachedCounts<number>({
      count: () => new Promise((resolve) => (finish = resolve)),
      set: (count) => void counts.push(count),
      keepMs: 1000,
      patienceMs: 1,
      limitMs: 60_000,
      clock: createManualClock(),
    });
    await bring();
    await bring();
    assert.deepEqual(counts, []);
    finish(3);
    await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(counts, [3]);
  });

  it('reports failed counts as unknown', async () => {
    const counts: (number | undefined)[] = [];
    const bring = createCachedCounts<number>({
      count: () => Promise.reject(new Error('no')),
      set: (count) => void counts.push(count),
      keepMs: 1000,
      patienceMs: 60_000,
      limitMs: 60_000,
      clock: createManualClock(),
    });
    await bring();
    assert.deepEqual(counts, [undefined]);
  });
});

describe('a count that hangs', () => {
  it('times out, so that the next one can start', async () => {
    const counts: (number | undefined)[] = [];
    let calls = 0;
    const bring = createCachedCounts<number>({
      count: async () => {
        calls += 1;
        return calls === 1 ? await new Promise<number>(() => undefined) : calls;
      },
      set: (count) => void counts.push(count),
      keepMs: 1000,
      patienceMs: 60_000,
      limitMs: 5,
      clock: createManualClock(),
    });
    await bring();
    await bring();
    assert.deepEqual(counts, [undefined, 2]);
  });
});

describe('the health of the scheduler', () => {
  it('is up after a successful scan, and down when none has succeeded for ten seconds', () => {
    const clock = createManualClock();
    const watch = createSchedulerHealth(clock);
    watch.recordPoll(false);
    assert.equal(watch.check().state, 'starting');
    watch.recordPoll(true);
    clock.advance(10_000);
    watch.recordPoll(false);
    assert.equal(watch.check().state, 'up');
    clock.advance(1);
    assert.equal(watch.check().state, 'down');
    watch.recordPoll(true);
    assert.equal(watch.check().state, 'up');
  });
});
