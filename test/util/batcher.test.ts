import assert from 'node:assert/strict';
import { createBatcher } from '../../src/util/batcher.ts';
import { createVirtualTime } from '../support/virtual-time.ts';

const WINDOW_MS = 100;

function setUp() {
  const time = createVirtualTime(0);
  const stopping = new AbortController();
  const batches: (readonly string[])[] = [];
  const tasks: Promise<unknown>[] = [];
  const add = createBatcher<string>({
    runInBackground: (task) => void tasks.push(task(stopping.signal).catch((error: unknown) => error)),
    processBatch: async (items) => void batches.push(items),
    sleep: (ms, signal) => time.sleep(ms, signal),
    windowMs: WINDOW_MS,
  });
  return { time, stopping, batches, tasks, add };
}

describe('a batcher', () => {
  it('makes one batch of the items that arrive within the window, each once, and another one of later items', async () => {
    const { time, batches, add } = setUp();
    for (const item of ['a', 'b', 'a']) add(item);
    await time.advance(WINDOW_MS - 1);
    assert.deepEqual(batches, []);
    add('c');
    await time.advance(1);
    assert.deepEqual(batches, [['a', 'b', 'c']]);
    add('a');
    await time.advance(WINDOW_MS);
    assert.deepEqual(batches, [['a', 'b', 'c'], ['a']]);
  });

  it('drops a batch whose task is stopped, and starts another one afterwards', async () => {
    const { stopping, batches, tasks, add } = setUp();
    add('a');
    stopping.abort(new Error('By a test.'));
    await tasks[0];
    add('b');
    assert.equal(tasks.length, 2);
    await Promise.all(tasks);
    assert.deepEqual(batches, []);
  });
});
