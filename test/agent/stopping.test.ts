import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createLifecycle, type Part } from '../../src/agent/lifecycle.ts';
import { systemClock } from '../../src/util/clock.ts';
import { createLog } from '../../src/util/log.ts';
import { createTestLog } from '../support/test-log.ts';

/** A lifecycle, its log, and parts that note what happens to them. */
function setUp() {
  const { lines, write } = createTestLog();
  const lifecycle = createLifecycle({
    log: createLog({ logLevel: 'trace', id: 'test' }, { write }),
    clock: systemClock,
  });
  const calls: string[] = [];
  const part = (name: string): Part => ({
    async close() {
      calls.push(`${name} begins`);
      await new Promise((resolve) => setImmediate(resolve));
      calls.push(name);
    },
  });
  return { lifecycle, calls, part, lines };
}

describe('the lifecycle of an agent', () => {
  it('closes its parts one after the other, the last registered first', async () => {
    const { lifecycle, calls, part } = setUp();
    for (const name of ['store', 'jobs']) lifecycle.use(part(name));
    await lifecycle.close();
    assert.deepEqual(calls, ['jobs begins', 'jobs', 'store begins', 'store']);
  });

  it('closes parts that were registered together concurrently, and no others with them', async () => {
    const { lifecycle, calls, part } = setUp();
    lifecycle.use(part('store'));
    lifecycle.useTogether(part('replies'), part('requests'));
    lifecycle.use(part('jobs'));
    await lifecycle.close();
    assert.deepEqual(calls, [
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

  it('closes every part once, whatever fails, and rejects with the first failure', async () => {
    const { lifecycle, calls, part } = setUp();
    lifecycle.use(part('store'));
    lifecycle.use({
      close() {
        throw new Error('by a test');
      },
    });
    lifecycle.useTogether({ close: () => Promise.reject(new Error('another')) });
    await assert.rejects(lifecycle.close(), /another/);
    assert.ok(calls.includes('store'));
    await lifecycle.close();
    assert.equal(calls.filter((name) => name === 'store').length, 1);
  });

  it('drains all parts before it aborts the background tasks, and closes nothing', async () => {
    const { lifecycle, calls, part } = setUp();
    let isDrained = false;
    lifecycle.use({
      ...part('requests'),
      async drain() {
        await new Promise((resolve) => setImmediate(resolve));
        isDrained = true;
      },
    });
    lifecycle.use(part('store'));
    let wasDrained: boolean | undefined;
    lifecycle.runInBackground('deletion', async (signal) => {
      await once(signal, 'abort');
      wasDrained = isDrained;
    });
    await lifecycle.drain(10_000);
    assert.equal(wasDrained, true);
    assert.deepEqual(calls, []);
  });

  it('does not wait for a background task beyond the timeout', async () => {
    const { lifecycle } = setUp();
    lifecycle.runInBackground('endless', () => new Promise(() => undefined));
    await lifecycle.drain(0);
  });

  it('logs a background task that fails, unless the agent stops', async () => {
    const { lifecycle, lines } = setUp();
    lifecycle.runInBackground('broken', () => Promise.reject(new Error('by a test')));
    await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(
      lines.map((line) => {
        const { code, task } = JSON.parse(line) as Record<string, unknown>;
        return { code, task };
      }),
      [{ code: 'background_task_failed', task: 'broken' }],
    );
    await lifecycle.drain(0);
    lifecycle.runInBackground('late', async (signal) => signal.throwIfAborted());
    await lifecycle.close();
    assert.equal(lines.length, 1);
  });
});
