import assert from 'node:assert/strict';
import { createSemaphore } from '../../src/util/semaphore.ts';

describe('a semaphore', () => {
  it('admits up to its limit, and the rest in order of arrival', async () => {
    const semaphore = createSemaphore(2);
    const order: number[] = [];
    const [releaseFirst, releaseSecond] = [await semaphore.acquire(), await semaphore.acquire()];
    const later = [1, 2, 3].map((number) => semaphore.acquire().then((release) => (order.push(number), release)));
    assert.deepEqual([semaphore.running, semaphore.waiting], [2, 3]);
    releaseFirst();
    (await later[0])?.();
    releaseSecond();
    for (const acquiring of later) (await acquiring)();
    assert.deepEqual(order, [1, 2, 3]);
    assert.deepEqual([semaphore.running, semaphore.waiting], [0, 0]);
  });

  it('counts a place that is released twice once', async () => {
    const semaphore = createSemaphore(1);
    const release = await semaphore.acquire();
    release();
    release();
    assert.equal(semaphore.running, 0);
    await semaphore.acquire();
    const late = semaphore.acquire();
    assert.equal(semaphore.waiting, 1);
    assert.equal(await Promise.race([late, Promise.resolve('waits')]), 'waits');
  });

  it('hands out a free place without waiting, and none beyond its limit', () => {
    const semaphore = createSemaphore(1);
    const release = semaphore.tryAcquire();
    assert.equal(semaphore.tryAcquire(), undefined);
    release?.();
    assert.notEqual(semaphore.tryAcquire(), undefined);
  });

  it('rejects one more than may wait with the error of its maker', async () => {
    const semaphore = createSemaphore(1, {
      maxWaiting: 1,
      makeError: ({ running, waiting }) => new RangeError(`${running} and ${waiting}`),
    });
    const release = await semaphore.acquire();
    const waiting = semaphore.acquire();
    await assert.rejects(semaphore.acquire(), /^RangeError: 1 and 1$/);
    release();
    (await waiting)();
    assert.equal(semaphore.running, 0);
  });

  it('forgets one whose signal aborts, and keeps no place for it', async () => {
    const semaphore = createSemaphore(1);
    const release = await semaphore.acquire();
    const stop = new AbortController();
    const aborted = semaphore.acquire(stop.signal);
    const next = semaphore.acquire();
    stop.abort(new Error('enough'));
    await assert.rejects(aborted, /^Error: enough$/);
    assert.equal(semaphore.waiting, 1);
    release();
    (await next)();
    assert.equal(semaphore.running, 0);
    await assert.rejects(semaphore.acquire(stop.signal), /^Error: enough$/);
  });
});
