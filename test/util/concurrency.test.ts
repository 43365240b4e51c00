import assert from 'node:assert/strict';
import { forEachConcurrently } from '../../src/util/concurrency.ts';

describe('forEachConcurrently', () => {
  it('processes every item, at most two at a time', async () => {
    let running = 0;
    let most = 0;
    const done: number[] = [];
    await forEachConcurrently([1, 2, 3, 4, 5], 2, async (item) => {
      running += 1;
      most = Math.max(most, running);
      await new Promise((resolve) => setImmediate(resolve));
      running -= 1;
      done.push(item);
    });
    assert.deepEqual([done.length, most], [5, 2]);
  });

  it('starts no item after a failure, and throws the first error when those in progress are done', async () => {
    const started: number[] = [];
    let finished = false;
    const working = forEachConcurrently([1, 2, 3, 4], 2, async (item) => {
      started.push(item);
      if (item === 1) throw new Error('broken');
      await new Promise((resolve) => setTimeout(resolve, 5));
      finished = true;
    });
    await assert.rejects(working, /^Error: broken$/);
    assert.deepEqual([started, finished], [[1, 2], true]);
  });
});
