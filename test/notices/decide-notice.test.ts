import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import type { NoticeOutcome } from '../../src/notices/notifier.ts';
import {
  ATTEMPT_LEASE_MS,
  afterAttempt,
  decideAttempt,
  ABANDON_AFTER_MS,
  GATHER_MS,
  newNotice,
  releaseNotice,
  postponeUntilTurn,
  withdrawNotice,
} from '../../src/notices/decide-notice.ts';
import type { Notice } from '../../src/store/notice-records.ts';
import { noticeOf, recordOf } from '../support/records.ts';

const NOW_MS = 1_800_000_000_000;
const record = recordOf(NOW_MS, { contact: 'owner@example.org' });
const notice = noticeOf(NOW_MS);

/** The first attempt as it is stored while it is made. */
function begun(given: Partial<Notice> = {}): Notice {
  return decideAttempt({ ...notice, ...given }, record, NOW_MS).notice;
}

describe('the decision about a notice that is due', () => {
  it('is to send it, as an attempt that no other agent makes at the same time', () => {
    const decision = decideAttempt(notice, record, NOW_MS);
    assert.deepEqual(decision, {
      action: 'send',
      notice: { ...notice, revision: 2, attempts: 1, nextAttemptMs: NOW_MS + ATTEMPT_LEASE_MS, inProgress: true },
    });
  });

  it('is to send it to the current contact, and to withdraw it when that was cleared', () => {
    const moved = decideAttempt(notice, { ...record, contact: 'new@example.org' }, NOW_MS);
    assert.equal(moved.action, 'send');
    assert.equal(moved.notice.contact, 'new@example.org');
    for (const kind of ['queue-warning', 'queue-deletion', 'queue-recovered'] as const) {
      const ending = decideAttempt({ ...notice, kind }, { ...record, contact: null, state: 'expiring' }, NOW_MS);
      assert.equal(ending.action, 'withdraw');
      const cleared = decideAttempt({ ...notice, kind }, { ...record, contact: null }, NOW_MS);
      assert.equal(cleared.action, 'withdraw');
      assert.deepEqual(cleared.notice, { ...notice, kind, revision: 2, state: 'withdrawn', settledMs: NOW_MS });
    }
  });

  it('is to send the last contact a deletion when the namespace is deleted, and nothing else', () => {
    const records = [
      undefined,
      { ...record, state: 'expiring' as const },
      { ...record, state: 'deleted' as const, contact: null },
      { ...record, incarnation: 'another', contact: 'stranger@example.org' },
      { ...record, incarnation: 'another', contact: null },
    ];
    for (const other of records) {
      assert.equal(decideAttempt(notice, other, NOW_MS).action, 'withdraw');
      assert.equal(decideAttempt({ ...notice, kind: 'queue-recovered' }, other, NOW_MS).action, 'withdraw');
      const deletion = decideAttempt({ ...notice, kind: 'queue-deletion' }, other, NOW_MS);
      assert.equal(deletion.action, 'send');
      assert.equal(deletion.notice.contact, notice.contact);
    }
  });

  it('is to abandon it after a day, but not before the first attempt', () => {
    const late = NOW_MS + ABANDON_AFTER_MS;
    assert.equal(decideAttempt(notice, record, late).action, 'send');
    const tried = { ...begun(), lastError: 'TimedOut' };
    assert.equal(decideAttempt(tried, record, late - 1).action, 'send');
    const decision = decideAttempt(tried, record, late);
    assert.equal(decision.action, 'fail');
    assert.equal(decision.notice.state, 'failed');
    assert.equal(decision.notice.lastError, 'TimedOut');
    assert.equal(decideAttempt(begun(), record, late).notice.lastError, 'NoAnswer');
  });

  it('records that an attempt without an outcome may have arrived', () => {
    assert.equal(begun().mayHaveArrived, false);
    assert.equal(decideAttempt(begun(), record, NOW_MS + ATTEMPT_LEASE_MS).notice.mayHaveArrived, true);
  });
});

describe('a notice after an attempt', () => {
  it('is sent, or has failed', () => {
    const sent = { ...begun(), revision: 3, state: 'sent', inProgress: false, settledMs: NOW_MS + 5 };
    assert.deepEqual(afterAttempt(begun(), { is: 'sent' }, NOW_MS + 5), sent);
    const refused = afterAttempt(begun(), { is: 'refused', code: 'DenylistedAddress' }, NOW_MS + 5);
    assert.deepEqual(refused, { ...sent, state: 'failed', lastError: 'DenylistedAddress' });
  });

  it('is retried with growing pauses while the service is down, and abandoned after a day', () => {
    const pauses: number[] = [];
    let nowMs = NOW_MS;
    for (let current = notice; current.settledMs === null; ) {
      current = decideAttempt(current, record, nowMs).notice;
      current = afterAttempt(current, { is: 'unavailable', code: 'HTTP 500', mayHaveArrived: true }, nowMs);
      pauses.push(current.nextAttemptMs - nowMs);
      if (current.settledMs === null) nowMs = current.nextAttemptMs;
      else assert.equal(current.state, 'failed');
    }
    assert.deepEqual(
      pauses.slice(0, 9),
      [15, 30, 60, 120, 240, 480, 960, 1800, 1800].map((s) => s * 1000),
    );
    assert.ok(nowMs <= NOW_MS + ABANDON_AFTER_MS && nowMs > NOW_MS + ABANDON_AFTER_MS - 3_600_000);
  });

  it('is retried slowly while an operator has to act, or the address gets too many mails', () => {
    for (const outcome of [
      { is: 'misconfigured', code: 'InsufficientScopes' },
      { is: 'not-sent', code: 'NotSent' },
      { is: 'limited', code: 'TooManyMessages' },
    ] as const) {
      const after = afterAttempt(begun(), outcome, NOW_MS);
      assert.equal(after.state, 'waiting');
      assert.equal(after.nextAttemptMs, NOW_MS + 600_000);
      assert.equal(after.lastError, outcome.code);
    }
  });

  it('is sent when Taskcluster drops a duplicate of what may have arrived', () => {
    const lost = decideAttempt(begun(), record, NOW_MS).notice;
    const unanswered = afterAttempt(begun(), { is: 'unavailable', code: 'TimedOut', mayHaveArrived: true }, NOW_MS);
    for (const earlier of [lost, decideAttempt(unanswered, record, NOW_MS).notice]) {
      assert.equal(afterAttempt(earlier, { is: 'not-sent', code: 'NotSent' }, NOW_MS).state, 'sent');
    }
    const refused = afterAttempt(begun(), { is: 'unavailable', code: 'ECONNREFUSED', mayHaveArrived: false }, NOW_MS);
    const again = decideAttempt(refused, record, NOW_MS).notice;
    assert.equal(afterAttempt(again, { is: 'not-sent', code: 'NotSent' }, NOW_MS).state, 'waiting');
  });

  it('is settled in every history, and each write raises the revision', () => {
    const anyOutcome: fc.Arbitrary<NoticeOutcome | 'death'> = fc.oneof(
      fc.constantFrom<NoticeOutcome | 'death'>('death', { is: 'sent' }, { is: 'not-sent', code: 'NotSent' }),
      fc.constantFrom<NoticeOutcome>({ is: 'refused', code: 'x' }, { is: 'misconfigured', code: 'x' }),
      fc.boolean().map((mayHaveArrived): NoticeOutcome => ({ is: 'unavailable', code: 'x', mayHaveArrived })),
    );
    fc.assert(
      fc.property(fc.array(anyOutcome, { minLength: 1, maxLength: 8 }), (outcomes) => {
        let nowMs = NOW_MS;
        let current = notice;
        let steps = 0;
        for (; current.settledMs === null; steps += 1) {
          const decision = decideAttempt(current, record, nowMs);
          assert.equal(decision.notice.revision, current.revision + 1);
          current = decision.notice;
          const outcome = outcomes[steps % outcomes.length];
          if (decision.action === 'send' && outcome !== undefined && outcome !== 'death') {
            const after = afterAttempt(current, outcome, nowMs);
            assert.equal(after.revision, current.revision + 1);
            current = after;
          }
          assert.ok(current.attempts > 0 || current.settledMs !== null);
          assert.ok(steps < 3000, 'it is never settled');
          if (current.settledMs === null) {
            assert.ok(current.nextAttemptMs > nowMs);
            nowMs = current.nextAttemptMs;
          }
        }
        assert.ok(nowMs <= NOW_MS + ABANDON_AFTER_MS + ATTEMPT_LEASE_MS);
        assert.ok(current.state === 'sent' || current.state === 'failed');
      }),
    );
  });
});

describe('the turn of a notice', () => {
  const recovery = noticeOf(NOW_MS, { id: 'recovery', kind: 'queue-recovered', follows: notice.id });

  it('comes when the notice before it is settled in any way, or is not known', () => {
    assert.equal(postponeUntilTurn(recovery, undefined, NOW_MS), undefined);
    for (const state of ['sent', 'failed', 'withdrawn'] as const) {
      assert.equal(postponeUntilTurn(recovery, { ...notice, state, settledMs: NOW_MS }, NOW_MS), undefined);
    }
  });

  it('is postponed while the notice before it waits, without counting an attempt', () => {
    const failing = { ...notice, attempts: 3, nextAttemptMs: NOW_MS + 60_000 };
    const waiting = postponeUntilTurn(recovery, failing, NOW_MS);
    assert.deepEqual(waiting, { ...recovery, revision: 2, nextAttemptMs: NOW_MS + 62_000 });
    // Due at the same moment, or being sent.
    for (const before of [notice, begun()]) {
      assert.equal(postponeUntilTurn(recovery, before, NOW_MS + 5)?.nextAttemptMs, NOW_MS + 2_005);
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

  it('is waiting, or held until it is released or withdrawn', () => {
    assert.deepEqual(newNotice(about), notice);
    const held = newNotice(about, 'held');
    assert.deepEqual(held, { ...notice, state: 'held' });
    assert.deepEqual(releaseNotice(held, NOW_MS + 7), {
      ...notice,
      revision: 2,
      nextAttemptMs: NOW_MS + 7 + GATHER_MS,
    });
    const withdrawn = withdrawNotice(held, NOW_MS + 7);
    assert.deepEqual(withdrawn, { ...held, revision: 2, state: 'withdrawn', settledMs: NOW_MS + 7 });
  });
});
