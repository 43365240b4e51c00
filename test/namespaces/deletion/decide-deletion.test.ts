import assert from 'node:assert/strict';
import { decideDeletion, afterDeletionStart, toTombstone } from '../../../src/namespaces/deletion/decide-deletion.ts';
import type { NamespaceRecord } from '../../../src/store/namespace-record.ts';
import { recordOf } from '../../support/records.ts';

const NOW = Date.parse('2026-11-24T12:00:00Z');
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const intervals = { rotationMs: HOUR, defaultLifetimeMs: 4 * HOUR, maxLifetimeMs: 744 * HOUR, handshakeMs: 10_000 };

function decide(given: Partial<NamespaceRecord>, nowMs = NOW) {
  return decideDeletion(recordOf(NOW, given), { nowMs, intervals, announceBeforeMs: HOUR });
}

describe('decideDeletion', () => {
  it('waits until the announcement is due, announces once, and waits again', () => {
    assert.deepEqual(decide({ expiresMs: NOW + HOUR + 1 }), { action: 'wait' });
    const announced = decide({ expiresMs: NOW + HOUR, revision: 7 });
    assert.ok(announced.action === 'announce');
    assert.equal(announced.record.expiryAnnouncedForMs, NOW + HOUR);
    assert.equal(announced.record.revision, 8);
    assert.deepEqual(decide({ ...announced.record }), { action: 'wait' });
    assert.equal(
      decide({ ...announced.record, expiresMs: NOW + HOUR - 1 }).action,
      'announce',
      'another expiry is announced again',
    );
  });

  for (const state of ['provisioning', 'active'] as const) {
    it(`begins a minute after expires in the state ${state}, and not before`, () => {
      assert.deepEqual(decide({ state, expiresMs: NOW - MINUTE + 1, expiryAnnouncedForMs: NOW - MINUTE + 1 }), {
        action: 'wait',
      });
      const begun = decide({ state, expiresMs: NOW - MINUTE, recheckAtMs: NOW });
      assert.ok(begun.action === 'begin');
      assert.equal(begun.isAnnounced, false);
      const { record } = begun;
      assert.deepEqual(
        [record.state, record.deletionReason, record.recheckAtMs, record.expiresMs],
        ['expiring', 'expired', null, NOW - MINUTE],
      );
      const announced = decide({ state, expiresMs: NOW - MINUTE, expiryAnnouncedForMs: NOW - MINUTE });
      assert.ok(announced.action === 'begin' && announced.isAnnounced);
    });
  }

  it('waits a quarter of the rotation interval where that is less', () => {
    const quick = { ...intervals, rotationMs: 8000 };
    const record = recordOf(NOW, { expiresMs: NOW });
    assert.equal(decideDeletion(record, { nowMs: NOW + 2000, intervals: quick, announceBeforeMs: 0 }).action, 'begin');
    assert.notEqual(
      decideDeletion(record, { nowMs: NOW + 1999, intervals: quick, announceBeforeMs: 0 }).action,
      'begin',
    );
  });

  it('deletes an expired namespace immediately, and a released one after the second of the releasing agent', () => {
    assert.equal(decide({ state: 'expiring', deletionReason: 'expired', expiresMs: NOW }).action, 'delete');
    assert.equal(decide({ state: 'expiring', deletionReason: 'released', expiresMs: NOW - 999 }).action, 'wait');
    assert.equal(decide({ state: 'expiring', deletionReason: 'released', expiresMs: NOW - 1000 }).action, 'delete');
  });

  it('leaves tombstones alone', () => {
    assert.deepEqual(decide({ state: 'deleted', deletedAtMs: NOW, expiresMs: NOW - HOUR }), { action: 'wait' });
  });
});

describe('the record of a deletion', () => {
  it('moves `expires` to the release, where the expiry of other agents finds it', () => {
    const record = afterDeletionStart(recordOf(NOW, { expiresMs: NOW + HOUR }), 'released', NOW);
    assert.equal(record.expiresMs, NOW);
    assert.equal(record.expiryAnnouncedForMs, NOW);
  });

  it('keeps in the tombstone until when claims are refused, and not the contact', () => {
    const record = toTombstone(recordOf(NOW, { contact: 'team@example.com', revokedUntilMs: NOW + HOUR }), NOW);
    assert.deepEqual(
      [record.state, record.deletedAtMs, record.contact, record.revokedUntilMs],
      ['deleted', NOW, null, NOW + HOUR],
    );
  });
});
