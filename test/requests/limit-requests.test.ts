import assert from 'node:assert/strict';
import { WireError } from '../../src/contract/wire-errors.ts';
import { createRequestLimit } from '../../src/requests/limit-requests.ts';
import { createManualClock } from '../support/manual-clock.ts';

function setUp(perMinute: number | null) {
  const clock = createManualClock();
  let refused = 0;
  const limit = createRequestLimit(perMinute, clock, () => void (refused += 1));
  return { clock, limit, refused: () => refused };
}

describe('the limit of requests a client', () => {
  it('refuses what is more than the requests of a minute, and says when to come again', () => {
    const { clock, limit, refused } = setUp(6);
    for (let count = 0; count < 6; count += 1) limit('team/a');
    assert.throws(
      () => limit('team/a'),
      (error: unknown) => {
        assert.ok(error instanceof WireError);
        assert.deepEqual(
          [error.code, error.retryable, error.details],
          ['Unavailable', true, { retryAfterSeconds: 10 }],
        );
        return true;
      },
    );
    assert.equal(refused(), 1);
    // Others do not wait for it.
    limit('team/b');
    clock.advance(10_000);
    limit('team/a');
    assert.throws(() => limit('team/a'), WireError);
  });

  it('is none where none is set', () => {
    const { limit, refused } = setUp(null);
    for (let count = 0; count < 10_000; count += 1) limit('team/a');
    assert.equal(refused(), 0);
  });
});
