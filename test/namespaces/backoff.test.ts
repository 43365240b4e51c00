import assert from 'node:assert/strict';
import { createBackoff, type NamespaceWorkFailure } from '../../src/namespaces/backoff.ts';
import { createManualClock } from '../support/manual-clock.ts';

const namespace = 'taskcluster-x';

function setUp() {
  const clock = createManualClock();
  const failures: NamespaceWorkFailure[] = [];
  return { clock, reported: failures, backoff: createBackoff(clock, (failure) => void failures.push(failure)) };
}

describe('createBackoff', () => {
  it('delays failed work by pauses that grow to five minutes, and reports each failure', () => {
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

  it('delays no other work and no other namespace, and forgets the failures after a success', () => {
    const { clock, reported, backoff } = setUp();
    backoff.failed('deletion', namespace, new Error('broken'));
    assert.ok(backoff.ready('rotation', namespace));
    assert.ok(backoff.ready('deletion', `${namespace}-more`));
    backoff.succeeded('deletion', namespace);
    assert.ok(backoff.ready('deletion', namespace));
    backoff.failed('deletion', namespace, new Error('broken'));
    assert.equal(reported.at(-1)?.failures, 1);
    // A step of the system clock does not lengthen the pause.
    clock.setWall(clock.nowMs() - 3_600_000);
    clock.advance(1000);
    assert.ok(backoff.ready('deletion', namespace));
  });

  it('knows what fails of one namespace until it succeeds', () => {
    const { backoff } = setUp();
    const error = new Error('By a test.');
    backoff.failed('rotation', 'a', error);
    backoff.failed('deletion', 'b', error);
    assert.deepEqual(
      backoff.failing('a').map(({ work, failures }) => [work, failures]),
      [['rotation', 1]],
    );
    backoff.succeeded('rotation', 'a');
    assert.deepEqual(backoff.failing('a'), []);
  });
});
