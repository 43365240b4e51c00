import assert from 'node:assert/strict';
import { createLifecycle } from '../../src/agent/lifecycle.ts';

/** What was closed and what is being closed, in order. */
function makeParts() {
  const told: string[] = [];
  const part = (name: string) => async () => {
    told.push(`${name} begins`);
    await new Promise((resolve) => setImmediate(resolve));
    told.push(name);
  };
  return { told, part };
}

describe('closers', () => {
  it('are called one after the other, the last first', async () => {
    const { told, part } = makeParts();
    const closers = createLifecycle();
    for (const name of ['store', 'jobs']) closers.push(part(name));
    await closers.closeAll();
    assert.deepEqual(told, ['jobs begins', 'jobs', 'store begins', 'store']);
  });

  it('that are pushed together are called at the same time, and no others with them', async () => {
    const { told, part } = makeParts();
    const closers = createLifecycle();
    closers.push(part('store'));
    for (const name of ['replies', 'requests']) closers.pushTogether(part(name));
    closers.push(part('jobs'));
    await closers.closeAll();
    assert.deepEqual(told, [
      'jobs begins',
      'jobs',
      'replies begins',
      'requests begins',
      'replies',
      'requests',
      'store begins',
      'store',
    ]);
  });

  it('are all called whatever fails, and each once', async () => {
    const { told, part } = makeParts();
    const closers = createLifecycle();
    closers.push(part('store'));
    closers.push(() => {
      throw new Error('by a test');
    });
    closers.pushTogether(() => Promise.reject(new Error('another')));
    await assert.rejects(closers.closeAll(), /another/);
    assert.ok(told.includes('store'));
    await closers.closeAll();
    assert.equal(told.filter((name) => name === 'store').length, 1);
  });
});
