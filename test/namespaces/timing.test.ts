import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import {
  credentialSettlementMs,
  clockDifferenceMs,
  deletionStartsMs,
  fenceMs,
  type Intervals,
  reclaimAtMs,
  nameReusableMs,
  settlementMs,
} from '../../src/namespaces/timing.ts';

const HOUR = 3_600_000;
const NOW = Date.parse('2026-11-24T12:00:00Z');

function every(rotationMs: number): Intervals {
  return { rotationMs, defaultLifetimeMs: 4 * HOUR, maxLifetimeMs: 744 * HOUR, handshakeMs: 10_000 };
}

describe('fenceMs', () => {
  it('is 10 s, and an eighth of a short rotation interval', () => {
    assert.equal(fenceMs(every(HOUR)), 10_000);
    assert.equal(fenceMs(every(80_000)), 10_000);
    assert.equal(fenceMs(every(79_992)), 9999);
    assert.equal(fenceMs(every(1000)), 125);
  });

  it('is a whole number of milliseconds for every interval of whole seconds, as timers require', () => {
    for (let seconds = 1; seconds <= 100; seconds += 1) assert.ok(Number.isInteger(fenceMs(every(seconds * 1000))));
  });
});

describe('reclaimAtMs', () => {
  const intervals = every(HOUR);

  it('is half an interval after the next rotation', () => {
    const record = { nextRotationMs: NOW + 10, expiresMs: NOW + 9 * HOUR };
    assert.equal(reclaimAtMs(record, NOW, intervals), NOW + 10 + HOUR / 2);
  });

  it('is half an interval from now when the rotation is late', () => {
    const record = { nextRotationMs: NOW - 5 * HOUR, expiresMs: NOW + 9 * HOUR };
    assert.equal(reclaimAtMs(record, NOW, intervals), NOW + HOUR / 2);
  });

  it('is never after the namespace expires', () => {
    const record = { nextRotationMs: NOW + HOUR, expiresMs: NOW + 1 };
    assert.equal(reclaimAtMs(record, NOW, intervals), NOW + 1);
    fc.assert(
      fc.property(fc.nat(), fc.nat(), fc.nat(), (nextRotationMs, expiresMs, nowMs) => {
        assert.ok(reclaimAtMs({ nextRotationMs, expiresMs }, nowMs, intervals) <= expiresMs);
      }),
    );
  });

  it('leaves two write windows before its account is written again, however late the rotations are', () => {
    const ms = fc.integer({ min: 0, max: 5 * HOUR });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 7200 }), ms, ms, ms, (seconds, late, untilClaim, lateAgain) => {
        const short = every(seconds * 1000);
        const nextRotationMs = NOW + short.rotationMs;
        // The claim comes before the rotation that makes its account the standby one.
        const rotatedMs = nextRotationMs + late;
        const claimedMs = Math.min(NOW + untilClaim, rotatedMs);
        const rewrittenMs = rotatedMs + short.rotationMs + lateAgain;
        const reclaim = reclaimAtMs({ nextRotationMs, expiresMs: NOW + 99 * HOUR }, claimedMs, short);
        assert.ok(reclaim + 2 * fenceMs(short) < rewrittenMs);
      }),
    );
  });
});

describe('deletionStartsMs', () => {
  it('is a minute after `expires`, or a quarter of a short rotation interval', () => {
    assert.equal(deletionStartsMs(NOW, every(HOUR)), NOW + 60_000);
    assert.equal(deletionStartsMs(NOW, every(8000)), NOW + 2000);
  });
});

describe('credentialSettlementMs', () => {
  it('is half a minute, and with a short rotation interval at least the time of a handshake', () => {
    assert.equal(credentialSettlementMs(every(HOUR)), 30_000);
    assert.equal(credentialSettlementMs(every(80_000)), 30_000);
    assert.equal(credentialSettlementMs(every(8000)), 12_000);
    assert.equal(credentialSettlementMs({ ...every(HOUR), handshakeMs: 60_000 }), 80_000);
  });

  it('is over, by any clock, when neither a late write nor an old login can have an effect', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 7200 }), fc.integer({ min: 1, max: 120 }), (seconds, handshake) => {
        const given = { ...every(seconds * 1000), handshakeMs: handshake * 1000 };
        assert.ok(credentialSettlementMs(given) >= settlementMs(given));
        assert.ok(credentialSettlementMs(given) > given.handshakeMs + clockDifferenceMs(given));
        assert.ok(credentialSettlementMs(given) >= 2 * fenceMs(given) + given.handshakeMs);
      }),
    );
  });
});

describe('nameReusableMs', () => {
  it('is after every possible effect of the former incarnation', () => {
    assert.equal(nameReusableMs(NOW, every(HOUR)), NOW + 30_000);
    assert.equal(nameReusableMs(NOW, every(8000)), NOW + 12_000);
  });
});
