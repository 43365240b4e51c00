import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import type { SendOutcome } from '../../src/notices/notifier.ts';
import {
  ATTEMPT_LEASE_MS,
  decideAfter,
  decideAttempt,
  GIVE_UP_MS,
  newNotice,
  releaseNotice,
  waitForTurn,
  withdrawNotice,
} from '../../src/notices/decide-notice.ts';
import type { Notice } from '../../src/store/notice-records.ts';
import { noticeOf, recordOf } from '../support/records.ts';

const NOW_MS = 1_800_000_000_000;
const record = recordOf(NOW_MS, { contact: 'owner@example.org' });
const notice = noticeOf(NOW_MS);

/** The first attempt, as it stands in the store while it is made. */
function begun(given: Partial<Notice> = {}): Notice {
  return decideAttempt({ ...notice, ...given }, record, NOW_MS).notice;
}

describe('what to do with a notice that is due', () => {
  it('is to send it, written down as an attempt that nobody else makes meanwhile', () => {
    const step = decideAttempt(notice, record, NOW_MS);
    assert.deepEqual(step, {
      what: 'send',
      notice: { ...notice, revision: 2, attempts: 1, nextAttemptMs: NOW_MS + ATTEMPT_LEASE_MS, inProgress: true },
    });
  });

  it('is to send it to the contact of today, and to nobody when that was cleared', () => {
    const moved = decideAttempt(notice, { ...record, contact: 'new@example.org' }, NOW_MS);
    assert.equal(moved.what, 'send');
    assert.equal(moved.notice.contact, 'new@example.org');
    for (const kind of ['queue-warning', 'queue-deletion', 'queue-recovered'] as const) {
      const ending = decideAttempt({ ...notice, kind }, { ...record, contact: null, state: 'expiring' }, NOW_MS);
      assert.equal(ending.what, 'withdraw');
      const cleared = decideAttempt({ ...notice, kind }, { ...record, contact: null }, NOW_MS);
      assert.equal(cleared.what, 'withdraw');
      assert.deepEqual(cleared.notice, { ...notice, kind, revision: 2, state: 'withdrawn', settledMs: NOW_MS });
    }
  });

  it('is to tell the last contact of a deletion when the namespace has ended, and of nothing else', () => {
    const others = [
      undefined,
      { ...record, state: 'expiring' as const },
      { ...record, state: 'deleted' as const, contact: null },
      { ...record, incarnation: 'another', contact: 'stranger@example.org' },
      { ...record, incarnation: 'another', contact: null },
    ];
    for (const other of others) {
      assert.equal(decideAttempt(notice, other, NOW_MS).what, 'withdraw');
      assert.equal(decideAttempt({ ...notice, kind: 'queue-recovered' }, other, NOW_MS).what, 'withdraw');
      const deletion = decideAttempt({ ...notice, kind: 'queue-deletion' }, other, NOW_MS);
      assert.equal(deletion.what, 'send');
      assert.equal(deletion.notice.contact, notice.contact);
    }
  });

  it('is to give it up a day late, but not before it was tried once', () => {
    const late = NOW_MS + GIVE_UP_MS;
    assert.equal(decideAttempt(notice, record, late).what, 'send');
    const tried = { ...begun(), lastError: 'TimedOut' };
    assert.equal(decideAttempt(tried, record, late - 1).what, 'send');
    const step = decideAttempt(tried, record, late);
    assert.equal(step.what, 'fail');
    assert.equal(step.notice.state, 'failed');
    assert.equal(step.notice.lastError, 'TimedOut');
    assert.equal(decideAttempt(begun(), record, late).notice.lastError, 'NoAnswer');
  });

  it('remembers that an attempt nobody has heard of may have arrived', () => {
    assert.equal(begun().mayHaveArrived, false);
    assert.equal(decideAttempt(begun(), record, NOW_MS + ATTEMPT_LEASE_MS).notice.mayHaveArrived, true);
  });
});

describe('a notice after an attempt', () => {
  it('is sent, or failed for good', () => {
    const sent = { ...begun(), revision: 3, state: 'sent', inProgress: false, settledMs: NOW_MS + 5 };
    assert.deepEqual(decideAfter(begun(), { is: 'sent' }, NOW_MS + 5), sent);
    const refused = decideAfter(begun(), { is: 'refused', code: 'DenylistedAddress' }, NOW_MS + 5);
    assert.deepEqual(refused, { ...sent, state: 'failed', lastError: 'DenylistedAddress' });
  });

  it('is tried again with growing pauses while the service is down, and given up after a day', () => {
    const pauses: number[] = [];
    let nowMs = NOW_MS;
    for (let current = notice; current.settledMs === null; ) {
      current = decideAttempt(current, record, nowMs).notice;
      current = decideAfter(current, { is: 'unavailable', code: 'HTTP 500', mayHaveArrived: true }, nowMs);
      pauses.push(current.nextAttemptMs - nowMs);
      if (current.settledMs === null) nowMs = current.nextAttemptMs;
      else assert.equal(current.state, 'failed');
    }
    assert.deepEqual(
      pauses.slice(0, 9),
      [15, 30, 60, 120, 240, 480, 960, 1800, 1800].map((s) => s * 1000),
    );
    assert.ok(nowMs <= NOW_MS + GIVE_UP_MS && nowMs > NOW_MS + GIVE_UP_MS - 3_600_000);
  });

  it('is tried again slowly while somebody has to put something right, or the address gets too many', () => {
    for (const outcome of [
      { is: 'misconfigured', code: 'InsufficientScopes' },
      { is: 'not-sent', code: 'NotSent' },
    ] as const) {
      const after = decideAfter(begun(), outcome, NOW_MS);
      assert.equal(after.state, 'waiting');
      assert.equal(after.nextAttemptMs, NOW_MS + 600_000);
      assert.equal(after.lastError, outcome.code);
    }
  });

  it('is sent when Taskcluster drops it and it may have arrived before', () => {
    const lost = decideAttempt(begun(), record, NOW_MS).notice;
    const unheard = decideAfter(begun(), { is: 'unavailable', code: 'TimedOut', mayHaveArrived: true }, NOW_MS);
    for (const earlier of [lost, decideAttempt(unheard, record, NOW_MS).notice]) {
      assert.equal(decideAfter(earlier, { is: 'not-sent', code: 'NotSent' }, NOW_MS).state, 'sent');
    }
    const refused = decideAfter(begun(), { is: 'unavailable', code: 'ECONNREFUSED', mayHaveArrived: false }, NOW_MS);
    const again = decideAttempt(refused, record, NOW_MS).notice;
    assert.equal(decideAfter(again, { is: 'not-sent', code: 'NotSent' }, NOW_MS).state, 'waiting');
  });

  it('ends, whatever happens: each write raises the revision, and nothing settled comes back', () => {
    const anyOutcome: fc.Arbitrary<SendOutcome | 'death'> = fc.oneof(
      fc.constantFrom<SendOutcome | 'death'>('death', { is: 'sent' }, { is: 'not-sent', code: 'NotSent' }),
      fc.constantFrom<SendOutcome>({ is: 'refused', code: 'x' }, { is: 'misconfigured', code: 'x' }),
      fc.boolean().map((mayHaveArrived): SendOutcome => ({ is: 'unavailable', code: 'x', mayHaveArrived })),
    );
    fc.assert(
      fc.property(fc.array(anyOutcome, { minLength: 1, maxLength: 8 }), (outcomes) => {
        let nowMs = NOW_MS;
        let current = notice;
        let steps = 0;
        for (; current.settledMs === null; steps += 1) {
          const step = decideAttempt(current, record, nowMs);
          assert.equal(step.notice.revision, current.revision + 1);
          current = step.notice;
          const outcome = outcomes[steps % outcomes.length];
          if (step.what === 'send' && outcome !== undefined && outcome !== 'death') {
            const after = decideAfter(current, outcome, nowMs);
            assert.equal(after.revision, current.revision + 1);
            current = after;
          }
          assert.ok(current.attempts > 0 || current.settledMs !== null);
          assert.ok(steps < 3000, 'it is tried for ever');
          if (current.settledMs === null) {
            assert.ok(current.nextAttemptMs > nowMs);
            nowMs = current.nextAttemptMs;
          }
        }
        assert.ok(nowMs <= NOW_MS + GIVE_UP_MS + ATTEMPT_LEASE_MS);
        assert.ok(current.state === 'sent' || current.state === 'failed');
      }),
    );
  });
});

describe('the turn of a notice', () => {
  const recovery = noticeOf(NOW_MS, { id: 'recovery', kind: 'queue-recovered', follows: notice.id });

  it('comes when the one before it is settled, however, or not known', () => {
    assert.equal(waitForTurn(recovery, undefined, NOW_MS), undefined);
    for (const state of ['sent', 'failed', 'withdrawn'] as const) {
      assert.equal(waitForTurn(recovery, { ...notice, state, settledMs: NOW_MS }, NOW_MS), undefined);
    }
  });

  it('comes later while the one before it waits, and is not counted as an attempt', () => {
    const failing = { ...notice, attempts: 3, nextAttemptMs: NOW_MS + 60_000 };
    const waiting = waitForTurn(recovery, failing, NOW_MS);
    assert.deepEqual(waiting, { ...recovery, revision: 2, nextAttemptMs: NOW_MS + 62_000 });
    // Due at the same moment, or just being sent.
    for (const before of [notice, begun()]) {
      assert.equal(waitForTurn(recovery, before, NOW_MS + 5)?.nextAttemptMs, NOW_MS + 2_005);
    }
  });
});

describe('a new notice', () => {
  const { id, kind, namespace, incarnation, queue, contact, messages, warnAtMessages, deleteAtMessages, seenMs } =
    notice;
  const about = {
    id,
    kind,
    namespace,
    incarnation,
    queue,
    contact,
    messages,
    warnAtMessages,
    deleteAtMessages,
    seenMs,
  };

  it('waits, or is held until it is released or withdrawn', () => {
    assert.deepEqual(newNotice(about), notice);
    const held = newNotice(about, 'held');
    assert.deepEqual(held, { ...notice, state: 'held' });
    assert.deepEqual(releaseNotice(held, NOW_MS + 7), { ...notice, revision: 2, nextAttemptMs: NOW_MS + 7 });
    const withdrawn = withdrawNotice(held, NOW_MS + 7);
    assert.deepEqual(withdrawn, { ...held, revision: 2, state: 'withdrawn', settledMs: NOW_MS + 7 });
  });
});
