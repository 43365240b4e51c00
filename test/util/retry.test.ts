import assert from 'node:assert/strict';
import { backoffMs, retry, withJitter } from '../../src/util/retry.ts';

describe('retry', () => {
  it('calls the work until it succeeds, with a pause after each failure', async () => {
    const paused: unknown[] = [];
    let calls = 0;
    const result = await retry(
      async () => {
        calls += 1;
        if (calls < 3) throw new Error(`failure ${calls}`);
        return calls;
      },
      async (error, failures) => void paused.push([String(error), failures]),
    );
    assert.equal(result, 3);
    assert.deepEqual(paused, [
      ['Error: failure 1', 1],
      ['Error: failure 2', 2],
    ]);
  });

  it('stops with what the pause throws', async () => {
    let calls = 0;
    const fail = async (): Promise<never> => {
      calls += 1;
      throw new Error('broken');
    };
    await assert.rejects(
      retry(fail, async (error, failures) => {
        if (failures === 2) throw error;
      }),
      /broken/,
    );
    assert.equal(calls, 2);
  });
});

describe('pauses', () => {
  it('double up to the longest one', () => {
    const pauses = { firstMs: 250, maxMs: 5000 };
    const all = [1, 2, 3, 4, 5, 6, 7, 5000].map((failures) => backoffMs(failures, pauses));
    assert.deepEqual(all, [250, 500, 1000, 2000, 4000, 5000, 5000, 5000]);
  });

  it('vary by a quarter', () => {
    assert.equal(
      withJitter(100, () => 0),
      75,
    );
    assert.equal(
      withJitter(100, () => 0.5),
      100,
    );
    assert.ok(withJitter(100, () => 0.999) < 125);
  });
});
