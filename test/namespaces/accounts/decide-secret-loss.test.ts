import assert from 'node:assert/strict';
import {
  afterHeld,
  afterMissing,
  lostSinceMs,
  recordSecretsEveryMs,
} from '../../../src/namespaces/accounts/decide-secret-loss.ts';
import type { SecretSighting } from '../../../src/store/secret-records.ts';

const NOW = Date.parse('2026-11-24T12:00:00Z');
const intervals = { rotationMs: 3_600_000 };
const { rotationMs } = intervals;

function sighting(given: Partial<SecretSighting> = {}): SecretSighting {
  return { secretId: 'one', revision: 4, heldMs: null, missingMs: null, ...given };
}

describe('the loss of a secret', () => {
  it('is unknown without a sighting, and for two rotation intervals after an agent first missed it', () => {
    assert.equal(lostSinceMs(undefined, NOW, intervals), undefined);
    assert.equal(lostSinceMs(sighting({ heldMs: NOW - 100 * rotationMs }), NOW, intervals), undefined);
    const missing = sighting({ missingMs: NOW, heldMs: NOW - 100 * rotationMs });
    assert.equal(lostSinceMs(missing, NOW + 2 * rotationMs - 1, intervals), undefined);
    assert.equal(lostSinceMs(missing, NOW + 2 * rotationMs, intervals), NOW);
  });

  it('counts from the first agent that missed it', () => {
    const first = afterMissing(undefined, 'one', NOW);
    assert.deepEqual(first, { secretId: 'one', revision: 1, heldMs: null, missingMs: NOW });
    assert.equal(afterMissing(first, 'one', NOW + 1), undefined);
    const known = sighting({ heldMs: NOW - 5 });
    assert.deepEqual(afterMissing(known, 'one', NOW), { ...known, revision: 5, missingMs: NOW });
  });

  it('ends as soon as an agent has the secret, whatever another one wrote', () => {
    const lost = sighting({ heldMs: NOW - 9 * rotationMs, missingMs: NOW - 3 * rotationMs });
    const held = afterHeld(lost, 'one', NOW, intervals);
    assert.deepEqual(held, { secretId: 'one', revision: 5, heldMs: NOW, missingMs: null });
    const missedAMomentAgo = { ...held, missingMs: NOW + 1 };
    assert.equal(afterHeld(missedAMomentAgo, 'one', NOW + 2, intervals)?.missingMs, null);
  });

  it('is prevented by one agent of many that records the secret in time', () => {
    const first = afterHeld(undefined, 'one', NOW, intervals);
    assert.deepEqual(first, { secretId: 'one', revision: 1, heldMs: NOW, missingMs: null });
    assert.equal(afterHeld(first, 'one', NOW + recordSecretsEveryMs(intervals) / 2 - 1, intervals), undefined);
    assert.equal(afterHeld(first, 'one', NOW + recordSecretsEveryMs(intervals), intervals)?.revision, 2);
    assert.ok(recordSecretsEveryMs(intervals) * 4 <= 2 * rotationMs);
  });

  it('does not forget a later observation for an earlier one', () => {
    assert.equal(afterHeld(sighting({ heldMs: NOW + 10, missingMs: 1 }), 'one', NOW, intervals)?.heldMs, NOW + 10);
  });
});
