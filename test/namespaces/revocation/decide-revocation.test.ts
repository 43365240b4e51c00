import assert from 'node:assert/strict';
import type { NamespaceRecord } from '../../../src/store/namespace-record.ts';
import {
  decideRevocation,
  withRecheckPostponed,
  type RevocationContext,
  revocationTarget,
  afterSettlement,
} from '../../../src/namespaces/revocation/decide-revocation.ts';
import { recordOf } from '../../support/records.ts';

const NOW = Date.parse('2026-11-24T12:00:00Z');
const HOUR = 3_600_000;
const WINDOWS = 30_000;
const context = {
  earliestMs: NOW,
  latestMs: NOW,
  intervals: { rotationMs: HOUR, defaultLifetimeMs: 4 * HOUR, maxLifetimeMs: 744 * HOUR, handshakeMs: 10_000 },
};

describe('afterSettlement', () => {
  it('writes `active` when both accounts are written, with a recheck when no late write can arrive', () => {
    const record = recordOf(NOW - HOUR, { state: 'provisioning', recheckAtMs: NOW - 1 });
    assert.deepEqual(afterSettlement(record, true, context), {
      ...record,
      state: 'active',
      revision: record.revision + 1,
      recheckAtMs: NOW + WINDOWS,
      nextRotationMs: NOW + HOUR,
    });
  });

  it('sets another recheck after it wrote an account', () => {
    const record = recordOf(NOW - HOUR, { recheckAtMs: NOW });
    assert.equal(afterSettlement(record, true, context)?.recheckAtMs, NOW + WINDOWS);
  });

  it('sets the recheck after every client that had logged in can have connected, however short the intervals', () => {
    const record = recordOf(NOW - HOUR, { recheckAtMs: NOW });
    const short = { ...context, intervals: { ...context.intervals, rotationMs: 8000 } };
    assert.equal(afterSettlement(record, true, short)?.recheckAtMs, NOW + 12_000);
    const next = { ...record, revision: record.revision + 1, recheckAtMs: NOW + 12_000 };
    assert.deepEqual(withRecheckPostponed(record, short), next);
  });

  it('is done when nothing was wrong, not before the recheck was due', () => {
    const record = recordOf(NOW - HOUR, { recheckAtMs: NOW });
    assert.equal(afterSettlement(record, false, context)?.recheckAtMs, null);
    assert.equal(afterSettlement({ ...record, recheckAtMs: NOW + 1 }, false, context), undefined);
  });

  it('counts the next rotation from then, however late: another agent’s recheck may still write its account', () => {
    const record = recordOf(NOW - 9 * HOUR, { recheckAtMs: NOW - 8 * HOUR, nextRotationMs: NOW - 8 * HOUR });
    assert.equal(afterSettlement(record, false, context)?.nextRotationMs, NOW + HOUR);
  });
});

describe('decideRevocation, after another revocation of the same credentials', () => {
  const target = { incarnation: 'bGlmZQ', generation: 3 };
  const other = recordOf(NOW, { generation: 3, state: 'provisioning', recheckAtMs: NOW + WINDOWS });
  const asking = (untilMs: number | null): RevocationContext => ({
    ...context,
    secretId: 'secret-1',
    hasNextSecret: true,
    untilMs,
  });

  it('refuses claims until its own instant, and then finishes what both began', () => {
    const decision = decideRevocation(other, target, asking(NOW + HOUR));
    const record = { ...other, revision: other.revision + 1, revokedUntilMs: NOW + HOUR };
    assert.deepEqual(decision, { action: 'write', record });
    assert.deepEqual(decideRevocation(record, target, asking(NOW + HOUR)), { action: 'finish' });
    assert.deepEqual(decideRevocation({ ...record, recheckAtMs: null }, target, asking(NOW + HOUR)), {
      action: 'done',
    });
  });

  it('does so too when the accounts are written already, or the other instant is earlier', () => {
    for (const given of [{ recheckAtMs: null }, { revokedUntilMs: NOW + HOUR - 1 }]) {
      const decision = decideRevocation({ ...other, ...given }, target, asking(NOW + HOUR));
      assert.ok(decision.action === 'write');
      assert.equal(decision.record.revokedUntilMs, NOW + HOUR);
    }
  });

  it('does not shorten the refusal of the other one', () => {
    const record = { ...other, revokedUntilMs: NOW + 2 * HOUR };
    for (const untilMs of [null, NOW + HOUR, NOW + 2 * HOUR]) {
      assert.deepEqual(decideRevocation(record, target, asking(untilMs)), { action: 'finish' });
    }
  });

  it('refuses none once the credentials are later ones: it is a redelivery, and the operators may have decided otherwise', () => {
    const later = recordOf(NOW, { generation: 4 });
    assert.deepEqual(decideRevocation(later, target, asking(NOW + HOUR)), { action: 'done' });
  });
});

/** The target of a request that is decided as soon as it is first seen. */
const targetOf = (record: NamespaceRecord) => revocationTarget(record, { ...context, firstSeenMs: NOW, nowMs: NOW });

describe('decideRevocation, of an expiring or deleted namespace', () => {
  const asking = (untilMs: number | null): RevocationContext => ({
    ...context,
    secretId: 'secret-1',
    hasNextSecret: true,
    untilMs,
  });
  const [tomorrow, nextWeek] = [NOW + 24 * HOUR, NOW + 168 * HOUR];

  for (const state of ['expiring', 'deleted'] as const) {
    const withoutAccounts = recordOf(NOW, { state, deletedAtMs: state === 'deleted' ? NOW : null });
    /** The record when this revocation was carried out. */
    const refused = (record: NamespaceRecord, untilMs: number): NamespaceRecord => {
      const decision = decideRevocation(record, targetOf(record), asking(untilMs));
      assert.ok(decision.action === 'refuse');
      return decision.record;
    };

    it(`refuses claims, and raises the generation as for an active namespace (${state})`, () => {
      const record = refused(withoutAccounts, tomorrow);
      const [active, standby] = withoutAccounts.slots;
      assert.deepEqual(record, {
        ...withoutAccounts,
        revision: withoutAccounts.revision + 1,
        generation: 3,
        slots: [{ ...active, generation: 3 }, standby],
        revokedUntilMs: tomorrow,
        revokedMs: NOW,
      });
      const even = { ...withoutAccounts, generation: 2, slots: [standby, { ...active, generation: 2 }] as const };
      assert.deepEqual(refused(even, tomorrow).slots, [standby, { ...active, generation: 4 }]);
    });

    it(`does not replace a later one at a redelivery, whether that is longer or shorter (${state})`, () => {
      const target = targetOf(withoutAccounts);
      const first = refused(withoutAccounts, tomorrow);
      assert.deepEqual(decideRevocation(first, target, asking(tomorrow)), { action: 'done' });
      for (const untilMs of [nextWeek, NOW + HOUR]) {
        const second = refused(first, untilMs);
        assert.equal(second.revokedUntilMs, untilMs);
        assert.deepEqual(decideRevocation(second, target, asking(tomorrow)), { action: 'done' });
      }
    });

    it(`is carried out when its agent died before it wrote anything, and does not shorten another one (${state})`, () => {
      const living = recordOf(NOW, { state: 'active' });
      const target = targetOf(living);
      const decision = decideRevocation(withoutAccounts, target, asking(tomorrow));
      assert.ok(decision.action === 'refuse' && decision.record.revokedUntilMs === tomorrow);
      const longer = decideRevocation(refused(withoutAccounts, NOW + HOUR), target, asking(tomorrow));
      assert.ok(longer.action === 'refuse' && longer.record.revokedUntilMs === tomorrow);
      assert.equal(longer.record.generation, target.generation);
      assert.deepEqual(decideRevocation(refused(withoutAccounts, nextWeek), target, asking(tomorrow)), {
        action: 'done',
      });
    });

    it(`without an instant fails, unless it was carried out while the namespace had credentials (${state})`, () => {
      const code = state === 'deleted' ? 'ResourceNotFound' : 'RequestConflict';
      assert.throws(() => decideRevocation(withoutAccounts, targetOf(withoutAccounts), asking(null)), { code });
      const revoked = { ...withoutAccounts, generation: 3, recheckAtMs: NOW };
      assert.deepEqual(decideRevocation(revoked, targetOf(withoutAccounts), asking(null)), { action: 'done' });
    });
  }
});

describe('revocationTarget', () => {
  const tolerated = 10_000;
  const targetGeneration = (revokedMs: number | null, firstSeenMs: number) =>
    revocationTarget(recordOf(NOW, { generation: 5, revokedMs }), { ...context, firstSeenMs, nowMs: NOW }).generation;

  it('is two generations later, however recent another revocation is', () => {
    assert.equal(targetGeneration(null, NOW - HOUR), 7);
    assert.equal(targetGeneration(NOW, NOW), 7);
    assert.equal(targetGeneration(NOW - HOUR, NOW - HOUR + 1), 7);
    assert.equal(targetGeneration(NOW - HOUR, NOW - HOUR - tolerated), 7);
  });

  it('is the generation of another revocation that came after the request', () => {
    assert.equal(targetGeneration(NOW - HOUR, NOW - HOUR - tolerated - 1), 5);
    assert.equal(targetGeneration(NOW, NOW - tolerated - 1), 5);
  });

  it('ignores a future instant', () => {
    assert.equal(targetGeneration(NOW + 1, NOW - HOUR), 7);
  });
});
