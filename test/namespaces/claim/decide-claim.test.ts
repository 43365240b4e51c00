import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { WireError } from '../../../src/contract/wire-errors.ts';
import {
  checkExpires,
  type ClaimInput,
  type ClaimContext,
  afterProvisioning,
  decideClaim,
} from '../../../src/namespaces/claim/decide-claim.ts';
import type { NamespaceRecord } from '../../../src/store/namespace-record.ts';
import { recordOf } from '../../support/records.ts';

const HOUR = 3_600_000;
const NOW = Date.parse('2026-11-24T12:00:00Z');
const intervals = { rotationMs: HOUR, defaultLifetimeMs: 4 * HOUR, maxLifetimeMs: 744 * HOUR, handshakeMs: 10_000 };

function context(nowMs = NOW): ClaimContext {
  return { nowMs, earliestMs: nowMs, intervals, secretId: 'secret-1', newIncarnation: () => 'a new incarnation' };
}

function claim(given: Partial<ClaimInput> = {}): ClaimInput {
  return { namespace: 'taskcluster-x', expiresMs: undefined, contact: undefined, claimedBy: 'project/x', ...given };
}

/** The record that a claim of an active namespace writes. */
function renewed(record: NamespaceRecord, given: Partial<ClaimInput> = {}, nowMs = NOW): NamespaceRecord {
  const decision = decideClaim(record, claim(given), context(nowMs));
  assert.equal(decision.action, 'renew');
  return decision.record;
}

function conflict(message: RegExp, details?: object): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof WireError, String(error));
    assert.equal(error.code, 'RequestConflict');
    assert.equal(error.retryable, true);
    assert.match(error.message, message);
    assert.deepEqual(error.details, details);
    return true;
  };
}

/** The record that a claim writes, or continues with. */
function begun(...claimed: Parameters<typeof decideClaim>): NamespaceRecord {
  const decision = decideClaim(...claimed);
  assert.ok('record' in decision);
  return decision.record;
}

describe('the limits for queues in a claim', () => {
  it('replace the stored ones; without them those stay, and null clears them', () => {
    const stored = recordOf(NOW, { queueLimits: { deleteAtMessages: 9000 } });
    assert.deepEqual(renewed(stored).queueLimits, { deleteAtMessages: 9000 });
    const replaced = renewed(stored, { queueLimits: { warnAtMessages: 5000 } });
    assert.deepEqual(replaced.queueLimits, { warnAtMessages: 5000 });
    for (const queueLimits of [null, {}]) assert.ok(!('queueLimits' in renewed(stored, { queueLimits })));
    assert.ok(!('queueLimits' in renewed(recordOf(NOW))));
  });
});

describe('decideClaim', () => {
  describe('of an unused name', () => {
    it('begins an incarnation whose account is not provisioned yet', () => {
      const decision = decideClaim(undefined, claim({ contact: 'a@example.com' }), context());
      assert.deepEqual(decision, {
        action: 'begin',
        record: {
          namespace: 'taskcluster-x',
          revision: 1,
          state: 'provisioning',
          incarnation: 'a new incarnation',
          generation: 1,
          slots: [
            { generation: 1, secretId: 'secret-1', promisedUntilMs: 0 },
            { generation: 0, secretId: '', promisedUntilMs: 0 },
          ],
          nextSecretId: 'secret-1',
          createdMs: NOW,
          expiresMs: NOW + 4 * HOUR,
          nextRotationMs: NOW + HOUR,
          contact: null,
          claimedBy: 'project/x',
          claimedMs: NOW,
          revokedUntilMs: null,
          revokedMs: null,
          permissionsVersion: 1,
          deletedAtMs: null,
          deletionReason: null,
          expiryAnnouncedForMs: 0,
          recheckAtMs: null,
        },
      });
    });

    it('promises a late `expires` and takes the contact when the account works, and not before: it may fail', () => {
      const wanted = claim({ expiresMs: NOW + 30 * 24 * HOUR, contact: 'a@example.com' });
      const first = begun(undefined, wanted, context());
      assert.deepEqual([first.expiresMs, first.contact], [NOW + 4 * HOUR, null]);
      const active = afterProvisioning(first, wanted, context());
      assert.deepEqual([active.expiresMs, active.contact], [wanted.expiresMs, wanted.contact]);
      // Another claim finishes what that one began.
      const other = afterProvisioning(first, claim({}), context());
      assert.deepEqual([other.expiresMs, other.contact], [NOW + 4 * HOUR, null]);
    });

    it('takes the requested `expires`, also one earlier than the default', () => {
      assert.equal(begun(undefined, claim({ expiresMs: NOW + 1 }), context()).expiresMs, NOW + 1);
    });

    it('stores no contact when it is omitted or null', () => {
      for (const contact of [undefined, null]) {
        assert.equal(begun(undefined, claim({ contact }), context()).contact, null);
      }
    });
  });

  describe('of an active namespace', () => {
    const record = recordOf(NOW - HOUR, { contact: 'old@example.com', revision: 7 });

    it('writes the next revision and keeps accounts, secrets, incarnation and creation', () => {
      const written = renewed(record, { claimedBy: 'project/y' });
      assert.equal(written.revision, 8);
      assert.equal(written.claimedBy, 'project/y');
      for (const field of [
        'state',
        'incarnation',
        'generation',
        'nextSecretId',
        'createdMs',
        'nextRotationMs',
      ] as const) {
        assert.deepEqual(written[field], record[field], field);
      }
      assert.deepEqual(written.slots[1], record.slots[1]);
    });

    it('notes when it was made, also after a claim by an older agent, and never earlier than the claim before', () => {
      assert.equal(renewed(record).claimedMs, NOW);
      assert.equal(renewed(recordOf(NOW, { claimedMs: NOW - HOUR })).claimedMs, NOW);
      assert.equal(
        renewed(recordOf(NOW, { claimedMs: NOW + 5 })).claimedMs,
        NOW + 5,
        'the clock of its agent is ahead',
      );
    });

    it('keeps the contact when it is omitted, clears it for null, replaces it otherwise', () => {
      assert.equal(renewed(record).contact, 'old@example.com');
      assert.equal(renewed(record, { contact: null }).contact, null);
      assert.equal(renewed(record, { contact: 'new@example.com' }).contact, 'new@example.com');
    });

    it('lengthens the lifetime and never shortens it', () => {
      const long = recordOf(NOW, { expiresMs: NOW + 100 * HOUR });
      assert.equal(renewed(long).expiresMs, long.expiresMs);
      assert.equal(renewed(long, { expiresMs: NOW + HOUR }).expiresMs, long.expiresMs);
      assert.equal(renewed(long, { expiresMs: NOW + 200 * HOUR }).expiresMs, NOW + 200 * HOUR);
      const short = recordOf(NOW, { expiresMs: NOW + HOUR });
      assert.equal(renewed(short).expiresMs, NOW + 4 * HOUR);
      assert.equal(renewed(short, { expiresMs: NOW + 2 * HOUR }).expiresMs, NOW + 2 * HOUR);
    });

    it('renews an expired one as long as its deletion has not begun', () => {
      assert.equal(renewed(recordOf(NOW, { expiresMs: NOW - 1 })).expiresMs, NOW + 4 * HOUR);
    });

    it('writes the promise into the slot whose credentials it hands out', () => {
      const first = renewed(recordOf(NOW, { generation: 3, nextRotationMs: NOW + 10 }));
      assert.equal(
        first.slots[0].promisedUntilMs,
        Math.max(NOW + 10 + HOUR / 2, recordOf(NOW).slots[0].promisedUntilMs),
      );
      const second = renewed(
        recordOf(NOW, {
          generation: 2,
          nextRotationMs: NOW + 10,
          slots: [
            { generation: 1, secretId: 'secret-1', promisedUntilMs: 5 },
            { generation: 2, secretId: 'secret-1', promisedUntilMs: 6 },
          ],
        }),
      );
      assert.deepEqual(
        second.slots.map(({ promisedUntilMs }) => promisedUntilMs),
        [5, NOW + 10 + HOUR / 2],
      );
    });

    it('keeps the later promise', () => {
      const slots = [
        { generation: 1, secretId: 'secret-1', promisedUntilMs: NOW + 99 * HOUR },
        record.slots[1],
      ] as const;
      assert.equal(renewed(recordOf(NOW, { slots })).slots[0].promisedUntilMs, NOW + 99 * HOUR);
    });

    it('stores a promise that is never before a reclaimAt that it returned, whatever the claims', () => {
      const step = fc.record({
        waitMs: fc.nat({ max: 2 * HOUR }),
        expiresInMs: fc.option(fc.integer({ min: 1, max: 744 * HOUR }), { nil: undefined }),
        rotate: fc.boolean(),
      });
      fc.assert(
        fc.property(fc.array(step, { minLength: 1, maxLength: 30 }), (steps) => {
          let current = afterProvisioning(begun(undefined, claim(), context()), claim(), context());
          let nowMs = NOW;
          const handedOut = new Map<number, number>();
          for (const { waitMs, expiresInMs, rotate } of steps) {
            nowMs += waitMs;
            if (rotate && nowMs >= current.nextRotationMs) current = rotated(current, nowMs);
            const expiresMs = expiresInMs === undefined ? undefined : nowMs + expiresInMs;
            const written = renewed(current, { expiresMs }, nowMs);
            assert.ok(written.expiresMs >= current.expiresMs);
            const slot = written.slots[written.generation % 2 === 1 ? 0 : 1];
            const due = Math.max(current.nextRotationMs, nowMs) + HOUR / 2;
            assert.ok(slot.promisedUntilMs >= Math.min(due, written.expiresMs));
            const earlier = handedOut.get(written.generation) ?? 0;
            assert.ok(slot.promisedUntilMs >= earlier);
            assert.ok(slot.promisedUntilMs <= written.expiresMs);
            handedOut.set(written.generation, Math.max(earlier, slot.promisedUntilMs));
            current = written;
          }
        }),
      );
    });
  });

  describe('of a namespace in provisioning', () => {
    it('provisions the account again and writes nothing before', () => {
      const record = recordOf(NOW, { state: 'provisioning' });
      assert.deepEqual(decideClaim(record, claim({ contact: null }), context()), { action: 'provision', record });
    });

    it('leaves the accounts to the revocation that began it', () => {
      const record = recordOf(NOW, { state: 'provisioning', generation: 3, recheckAtMs: NOW });
      assert.deepEqual(decideClaim(record, claim(), context()), { action: 'finish' });
    });

    it('then writes `active`, with the fields and the promise of this claim', () => {
      const record = begun(undefined, claim(), context());
      const wishes = { contact: 'late@example.com', claimedBy: 'project/late', expiresMs: NOW + 9 * HOUR };
      const written = afterProvisioning({ ...record, permissionsVersion: 0 }, claim(wishes), context(NOW + 5));
      assert.equal(written.state, 'active');
      assert.equal(written.revision, 2);
      assert.equal(written.permissionsVersion, 1);
      assert.equal(written.slots[0].promisedUntilMs, NOW + HOUR + HOUR / 2);
      assert.equal(written.claimedMs, NOW + 5);
      assert.deepEqual(
        { contact: written.contact, claimedBy: written.claimedBy, expiresMs: written.expiresMs },
        wishes,
      );
    });
  });

  describe('of an expiring or deleted namespace', () => {
    it('is a conflict while it is being deleted', () => {
      const record = recordOf(NOW, { state: 'expiring' });
      assert.throws(() => decideClaim(record, claim(), context()), conflict(/is being deleted/));
    });

    it('is a conflict that names the node for which the deletion waits', () => {
      const deletionBlock = { queue: 'queue/taskcluster-a/b', node: 'rabbit@b' };
      const record = recordOf(NOW, { state: 'expiring', deletionBlock });
      assert.throws(
        () => decideClaim(record, claim(), context()),
        conflict(/its queue queue\/taskcluster-a\/b is on node rabbit@b, which is down\. Claim it again when/),
      );
    });

    it('is a conflict until the settlement after the deletion is over', () => {
      const record = recordOf(NOW, { state: 'deleted', deletedAtMs: NOW });
      assert.throws(
        () => decideClaim(record, claim(), context(NOW + 29_999)),
        conflict(/was deleted a moment ago/, { retryAt: '2026-11-24T12:00:30.000Z' }),
      );
    });

    it('then replaces the tombstone by another incarnation, with nothing of the former one', () => {
      const former = recordOf(NOW, {
        state: 'deleted',
        deletedAtMs: NOW,
        revision: 9,
        generation: 5,
        contact: 'old@example.com',
        claimedBy: 'project/old',
        revokedUntilMs: NOW + 30_000,
        expiresMs: NOW + 99 * HOUR,
      });
      const decision = decideClaim(former, claim(), context(NOW + 30_000));
      const fresh = begun(undefined, claim(), context(NOW + 30_000));
      assert.deepEqual(decision, {
        action: 'begin',
        record: { ...fresh, revision: 10, revokedUntilMs: NOW + 30_000 },
      });
      assert.ok('record' in decision);
      assert.notEqual(decision.record.incarnation, former.incarnation);
    });
  });

  describe('of a revoked namespace', () => {
    const details = { revokedUntil: '2026-11-24T13:00:00.000Z' };
    for (const state of ['provisioning', 'active', 'deleted'] as const) {
      it(`is a conflict until then, when it is ${state}`, () => {
        const record = recordOf(NOW, { state, deletedAtMs: 0, revokedUntilMs: NOW + HOUR });
        const attempt = (nowMs: number) => () => decideClaim(record, claim(), context(nowMs));
        assert.throws(attempt(NOW + HOUR - 1), conflict(/is revoked until 2026-11-24T13:00:00.000Z/, details));
        assert.doesNotThrow(attempt(NOW + HOUR));
      });
    }
  });
});

const inputError = (message: RegExp) => (error: unknown) => {
  assert.ok(error instanceof WireError);
  assert.equal(error.code, 'InputError');
  assert.deepEqual(error.details, { field: 'expires' });
  assert.match(error.message, message);
  return true;
};

describe('checkExpires', () => {
  it('accepts none, and any in the future up to the longest lifetime', () => {
    for (const expiresMs of [undefined, NOW + 1, NOW + 744 * HOUR]) checkExpires(expiresMs, NOW, intervals);
  });

  it('refuses one that is past or too far, and names the limit', () => {
    for (const past of [NOW, NOW - 1, 0]) {
      assert.throws(
        () => checkExpires(past, NOW, intervals),
        inputError(/in the future; it is 2026-11-24T12:00:00.000Z/),
      );
    }
    assert.throws(() => checkExpires(NOW + 744 * HOUR + 1, NOW, intervals), inputError(/at most 2026-12-25T12:00:00/));
  });
});

/** A record after a rotation. */
function rotated(record: NamespaceRecord, nowMs: number): NamespaceRecord {
  const generation = record.generation + 1;
  const fresh = { generation, secretId: record.nextSecretId, promisedUntilMs: 0 };
  const [one, two] = record.slots;
  return {
    ...record,
    revision: record.revision + 1,
    generation,
    slots: generation % 2 === 1 ? [fresh, two] : [one, fresh],
    nextRotationMs: nowMs + HOUR,
  };
}
