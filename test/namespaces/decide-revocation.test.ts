import assert from 'node:assert/strict';
import { decideRevocation, type RevocationContext, settled } from '../../src/namespaces/decide-revocation.ts';
import { recordOf } from '../support/records.ts';

const NOW = Date.parse('2026-11-24T12:00:00Z');
const HOUR = 3_600_000;
const WINDOWS = 30_000;
const context = {
  earliestMs: NOW,
  latestMs: NOW,
  intervals: { rotationMs: HOUR, defaultLifetimeMs: 4 * HOUR, maxLifetimeMs: 744 * HOUR },
};

describe('settled', () => {
  it('makes it active when both accounts are written, to be compared once more when no late write can come', () => {
    const record = recordOf(NOW - HOUR, { state: 'provisioning', recheckMs: NOW - 1 });
    assert.deepEqual(settled(record, true, context), {
      ...record,
      state: 'active',
      revision: record.revision + 1,
      recheckMs: NOW + WINDOWS,
      nextRotationMs: NOW + HOUR,
    });
  });

  it('compares once more after it had to put something right', () => {
    const record = recordOf(NOW - HOUR, { recheckMs: NOW });
    assert.equal(settled(record, true, context)?.recheckMs, NOW + WINDOWS);
  });

  it('is done when nothing differs, no sooner than it was to be compared', () => {
    const record = recordOf(NOW - HOUR, { recheckMs: NOW });
    assert.equal(settled(record, false, context)?.recheckMs, null);
    assert.equal(settled({ ...record, recheckMs: NOW + 1 }, false, context), undefined);
  });

  it('counts the next rotation from then, however late it is: another comparison may still write its account', () => {
    const record = recordOf(NOW - 9 * HOUR, { recheckMs: NOW - 8 * HOUR, nextRotationMs: NOW - 8 * HOUR });
    assert.equal(settled(record, false, context)?.nextRotationMs, NOW + HOUR);
  });
});

describe('decideRevocation, when another revocation of the same credentials came first', () => {
  const target = { life: 'bGlmZQ', generation: 3 };
  const other = recordOf(NOW, { generation: 3, state: 'provisioning', recheckMs: NOW + WINDOWS });
  const asking = (untilMs: number | null): RevocationContext => ({
    ...context,
    keyId: 'key',
    hasNextKey: true,
    untilMs,
  });

  it('refuses claims for as long as this one says, and then finishes what both began', () => {
    const decision = decideRevocation(other, target, asking(NOW + HOUR));
    const record = { ...other, revision: other.revision + 1, revokedUntilMs: NOW + HOUR };
    assert.deepEqual(decision, { action: 'write', record });
    assert.deepEqual(decideRevocation(record, target, asking(NOW + HOUR)), { action: 'finish' });
    assert.deepEqual(decideRevocation({ ...record, recheckMs: null }, target, asking(NOW + HOUR)), { action: 'done' });
  });

  it('does so too when its accounts are written already, or another instant is named that is earlier', () => {
    for (const given of [{ recheckMs: null }, { revokedUntilMs: NOW + HOUR - 1 }]) {
      const decision = decideRevocation({ ...other, ...given }, target, asking(NOW + HOUR));
      assert.ok(decision.action === 'write');
      assert.equal(decision.record.revokedUntilMs, NOW + HOUR);
    }
  });

  it('refuses them no shorter than the other one says', () => {
    const record = { ...other, revokedUntilMs: NOW + 2 * HOUR };
    for (const untilMs of [null, NOW + HOUR, NOW + 2 * HOUR]) {
      assert.deepEqual(decideRevocation(record, target, asking(untilMs)), { action: 'finish' });
    }
  });

  it('refuses none once the credentials are later ones: it is a redelivery, and the operators may think otherwise by now', () => {
    const later = recordOf(NOW, { generation: 4 });
    assert.deepEqual(decideRevocation(later, target, asking(NOW + HOUR)), { action: 'done' });
  });
});
