import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { jitteredBackoffMs, decideRetry, type FailedAttempt } from '../../src/client/decide-retry.ts';
import { BrokerRefused, NoReply } from '../../src/client/client-errors.ts';
import { WIRE_ERRORS, WireError, type WireErrorCode } from '../../src/contract/wire-errors.ts';

const NOW = Date.parse('2026-11-24T12:00:00Z');

function decide(failed: Partial<FailedAttempt>): number | undefined {
  const usual = { method: 'claim-namespace', failures: 1, leftMs: 30_000, nowMs: NOW, random: 0.5 } as const;
  return decideRetry({ error: new WireError('Unavailable', 'Away.'), ...usual, ...failed });
}

describe('decideRetry', () => {
  for (const code of Object.keys(WIRE_ERRORS) as WireErrorCode[]) {
    const { retryable } = WIRE_ERRORS[code];
    it(`${retryable ? 'retries' : 'fails'} after ${code}`, () => {
      assert.equal(decide({ error: new WireError(code, 'No.') }) !== undefined, retryable);
    });
  }

  it("follows the agent's retryable for every code", () => {
    assert.equal(decide({ error: new WireError('Unavailable', 'No.', { retryable: false }) }), undefined);
    assert.ok(decide({ error: new WireError('InputError', 'Later.', { retryable: true }) }));
  });

  it('does not resend a release or a revocation that may have been served', () => {
    for (const method of ['release-namespace', 'revoke-namespace'] as const) {
      assert.equal(decide({ method, error: new NoReply('None.') }), undefined);
      assert.ok(decide({ method, error: new WireError('Unavailable', 'The queue is full.') }));
    }
    assert.ok(decide({ method: 'claim-namespace', error: new NoReply('None.') }));
  });

  it('waits as long as the agent says, and fails when that is too long', () => {
    for (const field of ['retryAt', 'revokedUntil']) {
      const until = (ms: number): WireError =>
        new WireError('RequestConflict', 'Later.', { details: { [field]: new Date(NOW + ms).toISOString() } });
      assert.equal(decide({ error: until(7000) }), 7000);
      assert.equal(decide({ error: until(30_001) }), undefined);
    }
    const after = (retryAfterSeconds: number): WireError =>
      new WireError('Unavailable', 'Later.', { details: { retryAfterSeconds } });
    assert.equal(decide({ error: after(7) }), 7000);
    assert.equal(decide({ error: after(31) }), undefined);
  });

  it('fails after an error that is not from an agent', () => {
    for (const error of [new BrokerRefused('No.'), new Error('A bug.'), undefined]) {
      assert.equal(decide({ error }), undefined);
    }
  });

  it('never waits beyond the timeout of the call', () => {
    fc.assert(
      fc.property(
        fc.nat({ max: 100 }),
        fc.double({ min: -10, max: 60_000, noNaN: true }),
        fc.double({ min: 0, max: 0.999, noNaN: true }),
        (failures, leftMs, random) => {
          const pauseMs = decide({ failures: failures + 1, leftMs, random });
          assert.ok(pauseMs === undefined || (pauseMs > 0 && pauseMs < leftMs));
        },
      ),
    );
  });
});

describe('jitteredBackoffMs', () => {
  it('grows up to its limit, with a jitter between half and all of it', () => {
    assert.equal(jitteredBackoffMs(1, 0, 1000, 60_000), 500);
    assert.equal(jitteredBackoffMs(3, 0.5, 1000, 60_000), 3000);
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 10_000 }), fc.double({ min: 0, max: 0.999, noNaN: true }), (n, random) => {
        const pauseMs = jitteredBackoffMs(n, random, 1000, 60_000);
        assert.ok(pauseMs >= 500 && pauseMs <= 60_000);
        assert.ok(jitteredBackoffMs(n + 1, random, 1000, 60_000) >= pauseMs);
      }),
    );
  });
});
