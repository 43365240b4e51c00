import assert from 'node:assert/strict';
import { createBackoff, type Failing } from '../../src/namespaces/backoff.ts';
import { createManualClock } from '../support/manual-clock.ts';

const namespace = 'taskcluster-x';

function setUp() {
  const clock = createManualClock();
  const told: Failing[] = [];
  return { clock, told, backoff: createBackoff(clock, (failing) => void told.push(failing)) };
}

describe('what failed', () => {
  it('is tried again after pauses that grow to five minutes, and is told each time', () => {
    const { clock, told, backoff } = setUp();
    const error = new Error('broken');
    const pauses: number[] = [];
    for (let failures = 1; failures <= 12; failures += 1) {
      assert.ok(backoff.ready('deletion', namespace));
      backoff.failed('deletion', namespace, error);
      const { retryAtMs, ...rest } = told.at(-1) ?? assert.fail();
      assert.deepEqual(rest, { namespace, work: 'deletion', failures, error });
      const pauseMs = retryAtMs - clock.nowMs();
      clock.advance(pauseMs - 1);
      assert.ok(!backoff.ready('deletion', namespace));
      clock.advance(1);
      pauses.push(pauseMs / 1000);
    }
    assert.deepEqual(pauses, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
  });

  it('holds up no other work and no other namespace, and is forgotten when it succeeds', () => {
    const { clock, told, backoff } = setUp();
    backoff.failed('deletion', namespace, new Error('broken'));
    assert.ok(backoff.ready('rotation', namespace));
    assert.ok(backoff.ready('deletion', `${namespace}-more`));
    backoff.succeeded('deletion', namespace);
    assert.ok(backoff.ready('deletion', namespace));
    backoff.failed('deletion', namespace, new Error('broken'));
    assert.equal(told.at(-1)?.failures, 1);
    // Somebody sets the machine's clock: the pause is no longer for it.
    clock.setWall(clock.nowMs() - 3_600_000);
    clock.advance(1000);
    assert.ok(backoff.ready('deletion', namespace));
  });
});
