import assert from 'node:assert/strict';
import { settled } from '../../src/namespaces/decide-revocation.ts';
import { recordOf } from '../support/records.ts';

const NOW = Date.parse('2026-11-24T12:00:00Z');
const HOUR = 3_600_000;
const WINDOWS = 30_000;
const context = {
  nowMs: NOW,
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
