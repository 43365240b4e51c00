import assert from 'node:assert/strict';
import { type PlanContext, planRecord } from '../../src/plan/plan-namespaces.ts';
import type { NamespaceRecord } from '../../src/store/namespace-record.ts';
import { recordOf } from '../support/records.ts';

const NOW = Date.parse('2026-01-01T00:00:00Z');
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

const context: PlanContext = {
  intervals: { rotationMs: HOUR, defaultLifetimeMs: 4 * HOUR, maxLifetimeMs: 31 * 24 * HOUR, handshakeMs: 10_000 },
  keyring: { currentSecretId: 'secret-1', has: (secretId) => secretId === 'secret-1' },
  announceBeforeMs: HOUR,
};

/** Active, rotated at NOW, with a free standby account, and far from its expiry. */
function active(given: Partial<NamespaceRecord> = {}): NamespaceRecord {
  return recordOf(NOW, {
    state: 'active',
    generation: 2,
    slots: [
      { generation: 1, secretId: 'secret-1', promisedUntilMs: 0 },
      { generation: 2, secretId: 'secret-1', promisedUntilMs: 0 },
    ],
    nextSecretId: 'secret-1',
    nextRotationMs: NOW + HOUR,
    expiresMs: NOW + 100 * HOUR,
    ...given,
  });
}

function plan(record: NamespaceRecord, forMs: number, given: Partial<PlanContext> = {}): string[] {
  return planRecord(record, NOW, NOW + forMs, { ...context, ...given }).map(
    ({ action, atMs, why }) => `${action} +${Math.round((atMs - NOW) / MINUTE)} ${why}`,
  );
}

describe('the plan for a namespace', () => {
  it('has a rotation at the end of the interval, and none before', () => {
    assert.deepEqual(plan(active(), 2 * HOUR), ['rotate +60 its rotation interval ends']);
    assert.deepEqual(plan(active(), 59 * MINUTE), []);
  });

  it('has a late rotation now', () => {
    const [step] = plan(active({ nextRotationMs: NOW - HOUR / 4 }), HOUR);
    assert.equal(step, 'rotate +0 due since 2025-12-31T23:45:00.000Z');
  });

  it('delays a rotation while the standby account is promised', () => {
    const slots: NamespaceRecord['slots'] = [
      { generation: 1, secretId: 'secret-1', promisedUntilMs: NOW + 90 * MINUTE },
      { generation: 2, secretId: 'secret-1', promisedUntilMs: 0 },
    ];
    const [step] = plan(active({ slots }), 3 * HOUR);
    assert.match(step ?? '', /^rotate \+9[01] due earlier, but clients may use its standby account/);
  });

  it('has the choice of another secret when no agent has the next one', () => {
    assert.match(plan(active({ nextSecretId: 'other' }), 3 * HOUR)[0] ?? '', /^replace-secret \+90 /);
  });

  it('has an early rotation when no agent can hand out the active account', () => {
    const slots: NamespaceRecord['slots'] = [
      { generation: 1, secretId: 'secret-1', promisedUntilMs: 0 },
      { generation: 2, secretId: 'other', promisedUntilMs: 0 },
    ];
    assert.match(plan(active({ slots, nextRotationMs: NOW + HOUR / 2 }), HOUR)[0] ?? '', /the secret of its active/);
  });

  it('has the announcement, then the deletion, and no rotation after it', () => {
    assert.deepEqual(plan(active({ expiresMs: NOW + 90 * MINUTE, nextRotationMs: NOW + 2 * HOUR }), 5 * HOUR), [
      'announce +30 it expires at 2026-01-01T01:30:00.000Z',
      'delete +91 it expires without another claim',
    ]);
  });

  it('has no deletion before the exemption of a queue ends', () => {
    const exemption = { queue: 'queue/taskcluster-x/a', untilMs: NOW + 3 * HOUR };
    const exemptions = new Map([['taskcluster-x', exemption]]);
    const record = active({
      expiresMs: NOW - MINUTE,
      expiryAnnouncedForMs: NOW - MINUTE,
      nextRotationMs: NOW + 9 * HOUR,
    });
    assert.deepEqual(plan(record, HOUR, { exemptions }), []);
    assert.deepEqual(plan(record, 3 * HOUR, { exemptions }), [
      'delete +180 it expires without another claim, and the exemption of its queue queue/taskcluster-x/a has ended',
    ]);
  });

  it('continues a deletion that has begun, and has nothing for a tombstone', () => {
    const releasing = { state: 'expiring', deletionReason: 'released', expiresMs: NOW - MINUTE } as const;
    assert.deepEqual(plan(active(releasing), HOUR), ['delete +0 it was released']);
    const deletionBlock = { queue: 'queue/taskcluster-a/b', node: 'rabbit@b' };
    assert.deepEqual(plan(active({ ...releasing, deletionBlock }), HOUR), [
      'delete +0 it was released; the deletion waits: its queue queue/taskcluster-a/b is on node rabbit@b, which is down',
    ]);
    assert.deepEqual(plan(active({ ...releasing, state: 'deleted', deletedAtMs: NOW }), HOUR), []);
  });

  it('has the second check after a revocation', () => {
    assert.deepEqual(plan(active({ recheckAtMs: NOW + MINUTE }), 2 * MINUTE), [
      'recheck +1 its credentials were revoked',
    ]);
  });
});
