import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import {
  decideAfterFailure,
  decideRenewal,
  type FailedRenewal,
  type HeldClaim,
} from '../../src/client/decide-lease.ts';

const NOW = Date.parse('2026-11-24T12:00:00Z');
const MINUTE = 60_000;
const HELD: HeldClaim = { claimedMs: NOW, reclaimMs: NOW + 90 * MINUTE, expiresMs: NOW + 240 * MINUTE };

const chance = fc.double({ min: 0, max: 0.999, noNaN: true });

function after(failed: Partial<FailedRenewal>): ReturnType<typeof decideAfterFailure> {
  const usual = {
    code: 'Unavailable',
    failures: 1,
    credentialsRefused: undefined,
    nowMs: NOW + 85 * MINUTE,
    random: 0,
  };
  return decideAfterFailure(HELD, { ...usual, ...failed });
}

describe('decideRenewal', () => {
  it('claims 5 to 10 percent before the end of the promise', () => {
    assert.equal(decideRenewal(HELD, 0), HELD.reclaimMs - 4.5 * MINUTE);
    assert.equal(decideRenewal(HELD, 0.999_999_999), Math.ceil(HELD.reclaimMs - 9 * MINUTE) + 1);
  });

  it('is never before the next rotation, nor after the promise', () => {
    fc.assert(
      fc.property(fc.integer({ min: 20_000, max: 86_400_000 }), chance, chance, (intervalMs, when, random) => {
        // A claim at any time before the next rotation; the promise ends half an interval after that.
        const rotationMs = NOW + Math.floor(when * intervalMs);
        const atMs = decideRenewal({ claimedMs: NOW, reclaimMs: rotationMs + intervalMs / 2 }, random);
        assert.ok(atMs > rotationMs);
        assert.ok(atMs < rotationMs + intervalMs / 2);
      }),
    );
  });

  it('is at least a second after the previous claim', () => {
    fc.assert(
      fc.property(fc.integer({ min: -100_000, max: 20_000 }), chance, (heldMs, random) => {
        assert.ok(decideRenewal({ claimedMs: NOW, reclaimMs: NOW + heldMs }, random) >= NOW + 1000);
      }),
    );
  });
});

describe('decideAfterFailure', () => {
  it('is lost immediately without the scope, and when the namespace is revoked', () => {
    assert.deepEqual(after({ code: 'InsufficientScopes' }), { next: 'lost', reason: 'scopes' });
    assert.deepEqual(after({ code: 'RequestConflict' }), { next: 'lost', reason: 'taken-away' });
  });

  it('is not lost because the clock of this machine is ahead', () => {
    const nowMs = HELD.expiresMs + MINUTE;
    const code = 'AuthenticationFailed';
    assert.deepEqual(after({ code, nowMs, aheadMs: 300 * MINUTE }), { next: 'claim', atMs: nowMs + 500 });
    assert.deepEqual(after({ code, nowMs, aheadMs: MINUTE }), { next: 'lost', reason: 'expired' });
  });

  it('is lost at the end of the namespace', () => {
    assert.equal(after({ nowMs: HELD.expiresMs - 1 }).next, 'claim');
    assert.deepEqual(after({ nowMs: HELD.expiresMs }), { next: 'lost', reason: 'expired' });
  });

  it('is lost when RabbitMQ refuses the credentials after the promise, and not before', () => {
    assert.equal(after({ credentialsRefused: true, nowMs: HELD.reclaimMs - 1 }).next, 'claim');
    assert.deepEqual(after({ credentialsRefused: true, nowMs: HELD.reclaimMs }), { next: 'lost', reason: 'refused' });
    assert.equal(after({ credentialsRefused: false, nowMs: HELD.reclaimMs }).next, 'claim');
  });

  it('retries everything else until the end, at least once a minute', () => {
    const codes = ['Unavailable', 'InternalServerError', 'AuthenticationFailed', 'InputError', 'BrokerRefused'];
    fc.assert(
      fc.property(
        fc.constantFrom(...codes),
        fc.integer({ min: 1, max: 500 }),
        fc.integer({ min: NOW, max: HELD.expiresMs - 1 }),
        chance,
        fc.constantFrom(undefined, false),
        (code, failures, nowMs, random, credentialsRefused) => {
          const decided = after({ code, failures, nowMs, random, credentialsRefused });
          assert.ok(decided.next === 'claim');
          assert.ok(decided.atMs > nowMs && decided.atMs <= Math.min(nowMs + MINUTE, HELD.expiresMs));
        },
      ),
    );
  });

  it('fits another attempt into the rest of the promise', () => {
    const decided = after({ failures: 20, random: 0.9, nowMs: HELD.reclaimMs - 10_000 });
    assert.deepEqual(decided, { next: 'claim', atMs: HELD.reclaimMs - 5000 });
  });
});
