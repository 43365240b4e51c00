import assert from 'node:assert/strict';
import { createBatcher } from '../../src/util/batcher.ts';
import { createVirtualTime } from '../support/virtual-time.ts';

const MOMENT_MS = 100;

function setUp() {
  const time = createVirtualTime(0);
  const stopping = new AbortController();
  const batches: (readonly string[])[] = [];
  const ended: Promise<unknown>[] = [];
  const add = createBatcher<string>({
    start: (work) => void ended.push(work(stopping.signal).catch((error: unknown) => error)),
    together: async (items) => void batches.push(items),
    sleep: (ms, signal) => time.sleep(ms, signal),
    withinMs: MOMENT_MS,
  });
  return { time, stopping, batches, ended, add };
}

describe('what is gathered', () => {
  it('is worked on together when it comes within a moment, each once, and apart when it does not', async () => {
    const { time, batches, add } = setUp();
    for (const item of ['a', 'b', 'a']) add(item);
    await time.advance(MOMENT_MS - 1);
    assert.deepEqual(batches, []);
    add('c');
    await time.advance(1);
    assert.deepEqual(batches, [['a', 'b', 'c']]);
    add('a');
    await time.advance(MOMENT_MS);
    assert.deepEqual(batches, [['a', 'b', 'c'], ['a']]);
  });

  it('is left when the work is stopped, and does not hold up what comes then', async () => {
    const { stopping, batches, ended, add } = setUp();
    add('a');
    stopping.abort(new Error('By a test.'));
    await ended[0];
    add('b');
    assert.equal(ended.length, 2);
    await Promise.all(ended);
    assert.deepEqual(batches, []);
  });
});
