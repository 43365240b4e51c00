import assert from 'node:assert/strict';
import { type RateLimit, takeToken, type TokenBucket } from '../../src/util/token-bucket.ts';

const LIMIT: RateLimit = { burst: 3, perMinute: 10 };

/** How many of `tries` at each of these instants get a token. */
function taken(instantsMs: readonly number[], tries: number): number[] {
  let bucket: TokenBucket | undefined;
  return instantsMs.map((nowMs) => {
    let count = 0;
    for (let left = tries; left > 0; left -= 1) {
      const result = takeToken(bucket, LIMIT, nowMs);
      bucket = result.bucket;
      if (result.waitMs === 0) count += 1;
    }
    return count;
  });
}

describe('takeToken', () => {
  it('lets a burst through, then as many as have come in, and never more than a burst', () => {
    assert.deepEqual(taken([0, 1_000, 5_999, 6_000, 18_000, 3_600_000], 10), [3, 0, 0, 1, 2, 3]);
  });

  it('returns how long to wait for the next token', () => {
    const empty = { tokens: 0, atMs: 1_000 };
    assert.equal(takeToken(empty, LIMIT, 1_000).waitMs, 6_000);
    assert.equal(takeToken(empty, LIMIT, 4_000).waitMs, 3_000);
    assert.equal(takeToken(empty, LIMIT, 7_000).waitMs, 0);
  });

  it('loses nothing to many tries that fail', () => {
    let bucket: TokenBucket | undefined = { tokens: 0, atMs: 0 };
    let passedMs = 0;
    for (let nowMs = 1; nowMs <= 6_001 && passedMs === 0; nowMs += 1) {
      const result = takeToken(bucket, LIMIT, nowMs);
      bucket = result.bucket;
      if (result.waitMs === 0) passedMs = nowMs;
    }
    assert.equal(passedMs, 6_000);
  });
});
