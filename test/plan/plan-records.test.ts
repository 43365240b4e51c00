import assert from 'node:assert/strict';
import { type PlanContext, planRecord } from '../../src/plan/plan-records.ts';
import type { NamespaceRecord } from '../../src/store/namespace-record.ts';
import { recordOf } from '../support/records.ts';

const NOW = Date.parse('2026-01-01T00:00:00Z');
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

const context: PlanContext = {
  intervals: { rotationMs: HOUR, defaultLifetimeMs: 4 * HOUR, maxLifetimeMs: 31 * 24 * HOUR, handshakeMs: 10_000 },
  keyring: { currentSecretId: 'key', has: (secretId) => secretId === 'key' },
  noticeMs: HOUR,
};

/** Active, rotated at NOW, with a standby account that nobody relies on, and far from its end. */
function active(given: Partial<NamespaceRecord> = {}): NamespaceRecord {
  return recordOf(NOW, {
    state: 'active',
    generation: 2,
    slots: [
      { generation: 1, secretId: 'key', promisedUntilMs: 0 },
      { generation: 2, secretId: 'key', promisedUntilMs: 0 },
    ],
    nextSecretId: 'key',
    nextRotationMs: NOW + HOUR,
    expiresMs: NOW + 100 * HOUR,
    ...given,
  });
}

function plan(record: NamespaceRecord, forMs: number): string[] {
  return planRecord(record, NOW, NOW + forMs, context).map(
    ({ action, atMs, why }) => `${action} +${Math.round((atMs - NOW) / MINUTE)} ${why}`,
  );
}

describe('the plan for a namespace', () => {
  it('has a rotation at the end of its interval, and none before', () => {
    assert.deepEqual(plan(active(), 2 * HOUR), ['rotate +60 its interval is over then']);
    assert.deepEqual(plan(active(), 59 * MINUTE), []);
  });

  it('has a late rotation now', () => {
    const [step] = plan(active({ nextRotationMs: NOW - HOUR / 4 }), HOUR);
    assert.equal(step, 'rotate +0 it is due since 2025-12-31T23:45:00.000Z');
  });

  it('waits with a rotation until nobody relies on the standby account', () => {
    const slots: NamespaceRecord['slots'] = [
      { generation: 1, secretId: 'key', promisedUntilMs: NOW + 90 * MINUTE },
      { generation: 2, secretId: 'key', promisedUntilMs: 0 },
    ];
    const [step] = plan(active({ slots }), 3 * HOUR);
    assert.match(step ?? '', /^rotate \+9[01] it is due, and until then somebody may rely/);
  });

  it('says that another secret is named when nobody has the next one', () => {
    assert.match(plan(active({ nextSecretId: 'other' }), 3 * HOUR)[0] ?? '', /^replace-secret \+90 /);
  });

  it('rotates early what nobody can hand out', () => {
    const slots: NamespaceRecord['slots'] = [
      { generation: 1, secretId: 'key', promisedUntilMs: 0 },
      { generation: 2, secretId: 'other', promisedUntilMs: 0 },
    ];
    assert.match(plan(active({ slots, nextRotationMs: NOW + HOUR / 2 }), HOUR)[0] ?? '', /the secret of its active/);
  });

  it('tells of the end, then deletes, and rotates nothing after that', () => {
    assert.deepEqual(plan(active({ expiresMs: NOW + 90 * MINUTE, nextRotationMs: NOW + 2 * HOUR }), 5 * HOUR), [
      'announce +30 it expires at 2026-01-01T01:30:00.000Z',
      'delete +91 nobody has claimed it again by then',
    ]);
  });

  it('goes on with a deletion that was begun, and does nothing about what is gone', () => {
    const ended = { state: 'expiring', endReason: 'released', expiresMs: NOW - MINUTE } as const;
    assert.deepEqual(plan(active(ended), HOUR), ['delete +0 it was released']);
    assert.deepEqual(plan(active({ ...ended, state: 'deleted', deletedAtMs: NOW }), HOUR), []);
  });

  it('has the second look after a revocation', () => {
    assert.deepEqual(plan(active({ recheckAtMs: NOW + MINUTE }), 2 * MINUTE), [
      'recheck +1 its credentials were revoked',
    ]);
  });
});
