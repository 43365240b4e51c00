import assert from 'node:assert/strict';
import { createBackoff, type NamespaceWorkFailure } from '../../src/namespaces/backoff.ts';
import { createManualClock } from '../support/manual-clock.ts';

const namespace = 'taskcluster-x';

function setUp() {
  const clock = createManualClock();
  const failures: NamespaceWorkFailure[] = [];
  return { clock, reported: failures, backoff: createBackoff(clock, (failure) => void failures.push(failure)) };
}

describe('what failed', () => {
  it('is tried again after pauses that grow to five minutes, and is reported each time', () => {
    const { clock, reported, backoff } = setUp();
    const error = new Error('broken');
    const pauses: number[] = [];
    for (let failures = 1; failures <= 12; failures += 1) {
      assert.ok(backoff.ready('deletion', namespace));
      backoff.failed('deletion', namespace, error);
      const { retryAtMs, ...rest } = reported.at(-1) ?? assert.fail();
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
    const { clock, reported, backoff } = setUp();
    backoff.failed('deletion', namespace, new Error('broken'));
    assert.ok(backoff.ready('rotation', namespace));
    assert.ok(backoff.ready('deletion', `${namespace}-more`));
    backoff.succeeded('deletion', namespace);
    assert.ok(backoff.ready('deletion', namespace));
    backoff.failed('deletion', namespace, new Error('broken'));
    assert.equal(reported.at(-1)?.failures, 1);
    // Somebody sets the machine's clock: the pause is no longer for it.
    clock.setWall(clock.nowMs() - 3_600_000);
    clock.advance(1000);
    assert.ok(backoff.ready('deletion', namespace));
  });
});
