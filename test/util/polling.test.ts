import assert from 'node:assert/strict';
import { systemSleep } from '../../src/util/clock.ts';
import { createPolling } from '../../src/util/polling.ts';

describe('a polling', () => {
  it('goes on after a reading that fails', async () => {
    let readings = 0;
    await new Promise<void>((resolve) => {
      const polling = createPolling(
        async () => {
          readings += 1;
          if (readings === 1) throw new Error('By a test.');
          resolve(polling.close());
        },
        () => 1,
        systemSleep,
      );
      polling.start();
    });
    assert.equal(readings, 2);
  });

  it('closes while a reading hangs that takes no signal', async () => {
    await new Promise<void>((resolve) => {
      const polling = createPolling(
        () => {
          // Within a reading, and not before it has begun.
          setImmediate(() => resolve(polling.close()));
          return new Promise<never>(() => undefined);
        },
        () => 1,
        systemSleep,
      );
      polling.start();
    });
  });
});
