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

describe('settled', () => {
  it('makes it active when both accounts are written, to be compared once more when no late write can come', () => {
    const record = recordOf(NOW - HOUR, { state: 'provisioning', recheckAtMs: NOW - 1 });
    assert.deepEqual(afterSettlement(record, true, context), {
      ...record,
      state: 'active',
      revision: record.revision + 1,
      recheckAtMs: NOW + WINDOWS,
      nextRotationMs: NOW + HOUR,
    });
  });

  it('compares once more after it had to put something right', () => {
    const record = recordOf(NOW - HOUR, { recheckAtMs: NOW });
    assert.equal(afterSettlement(record, true, context)?.recheckAtMs, NOW + WINDOWS);
  });

  it('does so no sooner than whoever had logged in before can open a connection, however short the intervals', () => {
    const record = recordOf(NOW - HOUR, { recheckAtMs: NOW });
    const short = { ...context, intervals: { ...context.intervals, rotationMs: 8000 } };
    assert.equal(afterSettlement(record, true, short)?.recheckAtMs, NOW + 12_000);
    const next = { ...record, revision: record.revision + 1, recheckAtMs: NOW + 12_000 };
    assert.deepEqual(withRecheckPostponed(record, short), next);
  });

  it('is done when nothing differs, no sooner than it was to be compared', () => {
    const record = recordOf(NOW - HOUR, { recheckAtMs: NOW });
    assert.equal(afterSettlement(record, false, context)?.recheckAtMs, null);
    assert.equal(afterSettlement({ ...record, recheckAtMs: NOW + 1 }, false, context), undefined);
  });

  it('counts the next rotation from then, however late it is: another comparison may still write its account', () => {
    const record = recordOf(NOW - 9 * HOUR, { recheckAtMs: NOW - 8 * HOUR, nextRotationMs: NOW - 8 * HOUR });
    assert.equal(afterSettlement(record, false, context)?.nextRotationMs, NOW + HOUR);
  });
});

describe('decideRevocation, when another revocation of the same credentials came first', () => {
  const target = { incarnation: 'bGlmZQ', generation: 3 };
  const other = recordOf(NOW, { generation: 3, state: 'provisioning', recheckAtMs: NOW + WINDOWS });
  const asking = (untilMs: number | null): RevocationContext => ({
    ...context,
    secretId: 'key',
    hasNextSecret: true,
    untilMs,
  });

  it('refuses claims for as long as this one says, and then finishes what both began', () => {
    const decision = decideRevocation(other, target, asking(NOW + HOUR));
    const record = { ...other, revision: other.revision + 1, revokedUntilMs: NOW + HOUR };
    assert.deepEqual(decision, { action: 'write', record });
    assert.deepEqual(decideRevocation(record, target, asking(NOW + HOUR)), { action: 'finish' });
    assert.deepEqual(decideRevocation({ ...record, recheckAtMs: null }, target, asking(NOW + HOUR)), {
      action: 'done',
    });
  });

  it('does so too when its accounts are written already, or another instant is named that is earlier', () => {
    for (const given of [{ recheckAtMs: null }, { revokedUntilMs: NOW + HOUR - 1 }]) {
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

/** The target of a request that is looked at as soon as it is seen. */
const targetOf = (record: NamespaceRecord) => revocationTarget(record, { ...context, firstSeenMs: NOW, nowMs: NOW });

describe('decideRevocation, about a namespace that has ended', () => {
  const asking = (untilMs: number | null): RevocationContext => ({
    ...context,
    secretId: 'key',
    hasNextSecret: true,
    untilMs,
  });
  const [tomorrow, nextWeek] = [NOW + 24 * HOUR, NOW + 168 * HOUR];

  for (const state of ['expiring', 'deleted'] as const) {
    const ended = recordOf(NOW, { state, deletedAtMs: state === 'deleted' ? NOW : null });
    /** What is left when this revocation was carried out. */
    const refused = (record: NamespaceRecord, untilMs: number): NamespaceRecord => {
      const decision = decideRevocation(record, targetOf(record), asking(untilMs));
      assert.ok(decision.action === 'refuse');
      return decision.record;
    };

    it(`refuses claims, and counts as one of a namespace that lives (${state})`, () => {
      const record = refused(ended, tomorrow);
      const [active, standby] = ended.slots;
      assert.deepEqual(record, {
        ...ended,
        revision: ended.revision + 1,
        generation: 3,
        slots: [{ ...active, generation: 3 }, standby],
        revokedUntilMs: tomorrow,
        revokedMs: NOW,
      });
      const even = { ...ended, generation: 2, slots: [standby, { ...active, generation: 2 }] as const };
      assert.deepEqual(refused(even, tomorrow).slots, [standby, { ...active, generation: 4 }]);
    });

    it(`replaces no later one when it is delivered again, whether that is longer or shorter (${state})`, () => {
      const target = targetOf(ended);
      const first = refused(ended, tomorrow);
      assert.deepEqual(decideRevocation(first, target, asking(tomorrow)), { action: 'done' });
      for (const untilMs of [nextWeek, NOW + HOUR]) {
        const second = refused(first, untilMs);
        assert.equal(second.revokedUntilMs, untilMs);
        assert.deepEqual(decideRevocation(second, target, asking(tomorrow)), { action: 'done' });
      }
    });

    it(`is carried out when its agent died before it wrote anything, and shortens no other one (${state})`, () => {
      const living = recordOf(NOW, { state: 'active' });
      const target = targetOf(living);
      const decision = decideRevocation(ended, target, asking(tomorrow));
      assert.ok(decision.action === 'refuse' && decision.record.revokedUntilMs === tomorrow);
      const longer = decideRevocation(refused(ended, NOW + HOUR), target, asking(tomorrow));
      assert.ok(longer.action === 'refuse' && longer.record.revokedUntilMs === tomorrow);
      assert.equal(longer.record.generation, target.generation);
      assert.deepEqual(decideRevocation(refused(ended, nextWeek), target, asking(tomorrow)), { action: 'done' });
    });

    it(`has nothing to do without an instant, and says so unless it was carried out while there was something (${state})`, () => {
      const code = state === 'deleted' ? 'ResourceNotFound' : 'RequestConflict';
      assert.throws(() => decideRevocation(ended, targetOf(ended), asking(null)), { code });
      const revoked = { ...ended, generation: 3, recheckAtMs: NOW };
      assert.deepEqual(decideRevocation(revoked, targetOf(ended), asking(null)), { action: 'done' });
    });
  }
});

describe('revocationTarget', () => {
  const tolerated = 10_000;
  const lookedAt = (revokedMs: number | null, firstSeenMs: number) =>
    revocationTarget(recordOf(NOW, { generation: 5, revokedMs }), { ...context, firstSeenMs, nowMs: NOW }).generation;

  it('is two generations on, however lately another one was', () => {
    assert.equal(lookedAt(null, NOW - HOUR), 7);
    assert.equal(lookedAt(NOW, NOW), 7);
    assert.equal(lookedAt(NOW - HOUR, NOW - HOUR + 1), 7);
    assert.equal(lookedAt(NOW - HOUR, NOW - HOUR - tolerated), 7);
  });

  it('is what another one has reached that came after the request', () => {
    assert.equal(lookedAt(NOW - HOUR, NOW - HOUR - tolerated - 1), 5);
    assert.equal(lookedAt(NOW, NOW - tolerated - 1), 5);
  });

  it('takes no instant yet to come for one', () => {
    assert.equal(lookedAt(NOW + 1, NOW - HOUR), 7);
  });
});
