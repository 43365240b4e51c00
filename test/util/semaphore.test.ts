import assert from 'node:assert/strict';
import { createSemaphore } from '../../src/util/semaphore.ts';

describe('places', () => {
  it('lets in as many as there are places, and the others in order of arrival', async () => {
    const places = createSemaphore(2);
    const first = await places.enter();
    await places.enter();
    const order: string[] = [];
    const third = places.enter().then((leave) => {
      order.push('third');
      return leave;
    });
    const fourth = places.enter().then((leave) => {
      order.push('fourth');
      return leave;
    });
    assert.equal(places.waiting, 2);
    first();
    (await third)();
    await fourth;
    assert.deepEqual(order, ['third', 'fourth']);
  });

  it('counts a place given back twice once', async () => {
    const places = createSemaphore(1);
    const leave = await places.enter();
    leave();
    leave();
    await places.enter();
    const late = places.enter();
    assert.equal(places.waiting, 1);
    assert.equal(await Promise.race([late, Promise.resolve('waits')]), 'waits');
  });

  it('lets a waiting one leave by its signal and keeps no place for it', async () => {
    const places = createSemaphore(1);
    const leave = await places.enter();
    const stop = new AbortController();
    const aborted = places.enter(stop.signal);
    stop.abort(new Error('enough'));
    await assert.rejects(aborted, /enough/);
    assert.equal(places.waiting, 0);
    leave();
    await places.enter();
    await assert.rejects(places.enter(stop.signal), /enough/);
  });
});
