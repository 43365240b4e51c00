import assert from 'node:assert/strict';
import { decideRotation, afterRotation } from '../../../src/namespaces/rotation/decide-rotation.ts';
import { settlementMs } from '../../../src/namespaces/timing.ts';
import type { NamespaceRecord } from '../../../src/store/namespace-record.ts';
import { recordOf } from '../../support/records.ts';

const NOW = Date.parse('2026-11-24T12:00:00Z');
const HOUR = 3_600_000;
const intervals = { rotationMs: HOUR, defaultLifetimeMs: 4 * HOUR, maxLifetimeMs: 744 * HOUR, handshakeMs: 10_000 };
const SETTLE = settlementMs(intervals);

function keyringOf(...ids: string[]) {
  return { currentSecretId: ids[0] ?? '', has: (id: string) => ids.includes(id) };
}

function decide(given: Partial<NamespaceRecord>, keyring = keyringOf('secret-1'), nowMs = NOW, isNodeMissing = false) {
  return decideRotation(recordOf(NOW - HOUR, given), { nowMs, intervals, keyring, isNodeMissing });
}

describe('decideRotation', () => {
  it('rotates the standby account when the rotation is due, and not before', () => {
    assert.deepEqual(decide({ nextRotationMs: NOW }), { action: 'rotate', slot: 2 });
    assert.deepEqual(decide({ nextRotationMs: NOW + 1 }), { action: 'wait', reason: 'early' });
    const second = { generation: 2, nextRotationMs: NOW };
    assert.deepEqual(decide({ ...second, slots: slotsOf(0, 0) }), { action: 'rotate', slot: 1 });
  });

  it('never writes an account before its promises are over and no late write can arrive', () => {
    const slots = slotsOf(NOW, NOW - SETTLE + 1);
    assert.deepEqual(decide({ nextRotationMs: NOW - 5 * HOUR, slots }), { action: 'wait', reason: 'promised' });
    assert.deepEqual(decide({ nextRotationMs: NOW - 5 * HOUR, slots: slotsOf(NOW, NOW - SETTLE) }), {
      action: 'rotate',
      slot: 2,
    });
  });

  for (const state of ['provisioning', 'expiring', 'deleted'] as const) {
    it(`does nothing in the state ${state}`, () => {
      assert.deepEqual(decide({ state, nextRotationMs: NOW - HOUR }), { action: 'wait', reason: 'state' });
    });
  }

  it('waits until a revocation is finished, whose recheck may still write the account', () => {
    assert.deepEqual(decide({ recheckAtMs: 1, nextRotationMs: NOW - HOUR }), { action: 'wait', reason: 'state' });
  });

  it('waits for a missing node, whose clients would be refused, for one interval at most', () => {
    const due = { nextRotationMs: NOW };
    const keyring = keyringOf('secret-1');
    assert.deepEqual(decide(due, keyring, NOW, true), { action: 'wait', reason: 'node' });
    assert.deepEqual(decide(due, keyring, NOW + HOUR - 1, true), { action: 'wait', reason: 'node' });
    assert.deepEqual(decide(due, keyring, NOW + HOUR, true), { action: 'rotate', slot: 2 });
  });

  it('does not wait for a missing node when it cannot hand out the active account', () => {
    const lost = { slots: slotsOf(NOW, 0, 'lost'), nextRotationMs: NOW + HOUR / 2 };
    assert.deepEqual(decide(lost, keyringOf('secret-1'), NOW, true), { action: 'rotate', slot: 2 });
  });

  it('leaves the rotation to agents that have the next secret, and takes it over after half an interval', () => {
    const foreign = { nextSecretId: 'theirs', nextRotationMs: NOW };
    assert.deepEqual(decide(foreign), { action: 'wait', reason: 'foreign' });
    const late = decide(foreign, keyringOf('secret-1'), NOW + HOUR / 2);
    assert.ok(late.action === 'replace-secret');
    assert.equal(late.record.nextSecretId, 'secret-1');
    assert.equal(late.record.generation, 1);
    // An agent that has the secret after all may be about to write.
    assert.equal(late.record.nextRotationMs, NOW + HOUR / 2 + SETTLE);
  });

  it('rotates early when it cannot hand out the active account', () => {
    const lost = { slots: slotsOf(NOW, 0, 'lost'), nextRotationMs: NOW + HOUR / 2 };
    assert.deepEqual(decide(lost), { action: 'rotate', slot: 2 });
    assert.deepEqual(decide({ ...lost, nextSecretId: 'lost' }), { action: 'wait', reason: 'early' });
  });
});

describe('afterRotation', () => {
  it('makes the standby account the active one and sets the next secret', () => {
    const context = { nowMs: NOW, intervals, keyring: keyringOf('new', 'secret-1') };
    const record = recordOf(NOW - HOUR, { revision: 5, nextSecretId: 'secret-1' });
    const next = afterRotation(record, context, () => 0.5);
    assert.equal(next.generation, 2);
    assert.equal(next.revision, 6);
    assert.deepEqual(next.slots[0], record.slots[0], 'the handed out account stays');
    assert.deepEqual(next.slots[1], { generation: 2, secretId: 'secret-1', promisedUntilMs: 0 });
    assert.equal(next.nextSecretId, 'new');
    assert.equal(next.nextRotationMs, NOW + HOUR * 1.05);
  });

  it('counts the next rotation from now when it is hours late', () => {
    const record = recordOf(NOW - 9 * HOUR, { nextRotationMs: NOW - 8 * HOUR });
    const context = { nowMs: NOW, intervals, keyring: keyringOf('secret-1') };
    assert.ok(afterRotation(record, context, () => 0).nextRotationMs >= NOW + HOUR);
  });
});

function slotsOf(first: number, second: number, secretId = 'secret-1'): NamespaceRecord['slots'] {
  return [
    { generation: 1, secretId, promisedUntilMs: first },
    { generation: 2, secretId: 'secret-1', promisedUntilMs: second },
  ];
}
