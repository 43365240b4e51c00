import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { ABANDON_AFTER_MS, ATTEMPT_LEASE_MS, GATHER_MS } from '../../src/notices/decide-notice.ts';
import {
  claimMember,
  decideBatch,
  decideMember,
  GATHER_AT_MOST_MS,
  MAX_GATHERED,
  MAX_LISTED,
  reserveLeader,
  settleMember,
  sortNotices,
  speaksFor,
  splitGroup,
  startBatch,
} from '../../src/notices/gather-notices.ts';
import type { Notice } from '../../src/store/notice-records.ts';
import { noticeOf, recordOf } from '../support/records.ts';

const NOW_MS = 1_800_000_000_000;
const OWNER = 'owner@example.org';

function notices(count: number, given: Partial<Notice> = {}): Notice[] {
  return Array.from({ length: count }, (_, number) =>
    noticeOf(NOW_MS, { id: `n-${number}`, queue: `queue/taskcluster-x/${number}`, messages: number, ...given }),
  );
}

/** A message for several notices as its first attempt leaves it, and the notices for which it speaks. */
function begun(count = 3): { leader: Notice; members: Notice[] } {
  const [first, ...others] = notices(count);
  assert.ok(first !== undefined);
  const reserved = reserveLeader(first, NOW_MS);
  const members = others.map((other) => claimMember(other, reserved, OWNER, NOW_MS));
  return { leader: startBatch(reserved, members, OWNER, NOW_MS), members };
}

describe('the gathering of notices', () => {
  it('keeps since when each queue is idle, and when it is deleted', () => {
    const idle = { kind: 'queue-idle', idleSinceMs: NOW_MS - 9_000, expiresMs: NOW_MS + 9_000 } as const;
    const [first, second] = notices(2, idle);
    assert.ok(first !== undefined && second !== undefined);
    const reserved = reserveLeader(first, NOW_MS);
    const { batch } = startBatch(reserved, [claimMember(second, reserved, OWNER, NOW_MS)], OWNER, NOW_MS);
    assert.deepEqual(
      batch?.listed.map(({ idleSinceMs, expiresMs }) => [idleSinceMs, expiresMs]),
      [
        [NOW_MS - 9_000, NOW_MS + 9_000],
        [NOW_MS - 9_000, NOW_MS + 9_000],
      ],
    );
  });

  it('waits until no more come, and at most a minute', () => {
    const added = (afterMs: number): Notice =>
      noticeOf(NOW_MS, { id: `n-${afterMs}`, nextAttemptMs: NOW_MS + afterMs + GATHER_MS });
    const sorted = (nowMs: number, ...afterMs: number[]) =>
      sortNotices(
        afterMs.map(added).filter(({ nextAttemptMs }) => nextAttemptMs <= nowMs + GATHER_MS),
        nowMs,
      ).groups.map(({ length }) => length);
    assert.deepEqual(sorted(NOW_MS + GATHER_MS, 0), [1]);
    assert.deepEqual(sorted(NOW_MS + GATHER_MS, 0, 1500), []);
    assert.deepEqual(sorted(NOW_MS + GATHER_MS + 1500, 0, 1500), [2]);
    const everySecond = Array.from({ length: 70 }, (_, second) => second * 1000);
    assert.deepEqual(sorted(NOW_MS + GATHER_AT_MOST_MS - 1000, ...everySecond), []);
    assert.deepEqual(sorted(NOW_MS + GATHER_AT_MOST_MS, ...everySecond), [59]);
  });

  it('is by contact and kind, and leaves out what may have arrived', () => {
    const several = [
      noticeOf(NOW_MS, { id: 'a' }),
      noticeOf(NOW_MS, { id: 'b', kind: 'queue-deletion' }),
      noticeOf(NOW_MS, { id: 'c', contact: 'slack:C0123' }),
      noticeOf(NOW_MS, { id: 'd', attempts: 2, lastError: 'ECONNREFUSED' }),
      noticeOf(NOW_MS, { id: 'e', attempts: 1, mayHaveArrived: true }),
      noticeOf(NOW_MS, { id: 'f', attempts: 1, inProgress: true }),
      noticeOf(NOW_MS, { id: 'g', nextAttemptMs: NOW_MS + 1, attempts: 1 }),
    ];
    const ids = (all: readonly Notice[]): string => all.map(({ id }) => id).join('');
    const { alone, groups, batches, members } = sortNotices(several, NOW_MS);
    assert.deepEqual([ids(alone), ids(batches), ids(members)], ['ef', '', '']);
    assert.deepEqual(groups.map(ids), ['ad', 'b', 'c']);
    const { leader, members: bound } = begun();
    const later = sortNotices([leader, ...bound], NOW_MS + ATTEMPT_LEASE_MS * 2);
    assert.deepEqual([ids(later.batches), ids(later.members), later.groups], ['n-0', 'n-1n-2', []]);
  });

  it('has the youngest one speak, and gathers what is of one hour, and a thousand at most', () => {
    const group = notices(2 * MAX_GATHERED + 1);
    const old = noticeOf(NOW_MS - 3 * 3_600_000, { id: 'old' });
    const chunks = splitGroup([old, ...group]);
    assert.deepEqual(
      chunks.map(({ length }) => length),
      [MAX_GATHERED, MAX_GATHERED, 1, 1],
    );
    assert.equal(chunks.at(-1)?.[0].id, 'old');
    const young = noticeOf(NOW_MS + 1, { id: 'young' });
    assert.equal(splitGroup([...notices(3), young])[0]?.[0].id, 'young');
    assert.deepEqual(splitGroup(notices(9).toReversed()), splitGroup(notices(9)));
  });

  it('lists the queues that are deleted first, and counts the rest', () => {
    const [first, ...others] = notices(100);
    assert.ok(first !== undefined);
    const forecast = { unit: 'messages', perMinute: 9, reachedMs: NOW_MS + 5 } as const;
    const soon = noticeOf(NOW_MS, { id: 'soon', queue: 'soon', messages: 1, forecast, namespace: 'taskcluster-y' });
    const { batch } = startBatch(reserveLeader(first, NOW_MS), [...others, soon], OWNER, NOW_MS);
    assert.equal(batch?.queues, 101);
    assert.equal(batch.listed.length, MAX_LISTED);
    assert.deepEqual(
      batch.listed.slice(0, 3).map(({ queue }) => queue),
      ['soon', 'queue/taskcluster-x/99', 'queue/taskcluster-x/98'],
    );
    assert.deepEqual(
      batch.parts.map(({ namespace, notices: ids }) => [namespace, ids.length]),
      [
        ['taskcluster-x', 99],
        ['taskcluster-y', 1],
      ],
    );
  });
});

describe('a message for several notices', () => {
  const { leader, members } = begun();
  const record = recordOf(NOW_MS, { contact: OWNER });

  it('speaks for those that it lists, and says so as an attempt', () => {
    assert.deepEqual([leader.state, leader.attempts, leader.inProgress], ['gathered', 1, true]);
    for (const { id, batchOf } of members) assert.ok(speaksFor(leader, id) && batchOf === leader.id);
    assert.ok(!speaksFor(leader, leader.id) && !speaksFor(leader, 'another'));
  });

  it('is sent again as it is while all contacts are the same, and abandoned after a day', () => {
    const again = decideBatch(leader, () => record, NOW_MS + ATTEMPT_LEASE_MS);
    assert.equal(again.action, 'send');
    assert.deepEqual(again.notice.batch, leader.batch);
    assert.deepEqual([again.notice.attempts, again.notice.mayHaveArrived], [2, true]);
    assert.equal(decideBatch(leader, () => record, NOW_MS + ABANDON_AFTER_MS).action, 'fail');
  });

  it('is dissolved where one of its namespaces has another contact, none, or has ended', () => {
    for (const now of [
      { ...record, contact: 'other@example.org' },
      { ...record, contact: null },
      { ...record, incarnation: 'another' },
      { ...record, state: 'expiring' as const },
      undefined,
    ]) {
      const { action, notice } = decideBatch(leader, () => now, NOW_MS);
      assert.equal(action, 'dissolve');
      assert.ok(!('batch' in notice) && notice.state === 'waiting' && !notice.inProgress);
      for (const member of members) assert.equal(decideMember(member, notice, NOW_MS).action, 'free');
    }
    // The owner of a namespace that has ended still gets the notice of a deletion.
    const deletion = { ...leader, kind: 'queue-deletion' } as const;
    assert.equal(decideBatch(deletion, () => undefined, NOW_MS).action, 'send');
    assert.equal(decideBatch(deletion, () => ({ ...record, contact: 'x@example.org' }), NOW_MS).action, 'dissolve');
  });

  it('settles with itself those that it lists', () => {
    const [member] = members;
    assert.ok(member !== undefined);
    const waits = decideMember(member, { ...leader, nextAttemptMs: NOW_MS + 9000 }, NOW_MS);
    assert.ok(waits.action === 'wait' && waits.notice.nextAttemptMs > NOW_MS + 9000);
    const failed = { ...leader, state: 'failed', lastError: 'TimedOut', settledMs: NOW_MS } as const;
    const settled = decideMember(member, failed, NOW_MS + 1);
    assert.ok(settled.action === 'settle');
    assert.deepEqual(settled.notice, settleMember(member, failed, NOW_MS + 1));
    assert.deepEqual([settled.notice.state, settled.notice.lastError], ['failed', 'TimedOut']);
  });

  it('is fenced before a claimed notice that it does not list is freed, if its list may still be written', () => {
    const [first, other] = notices(2);
    assert.ok(first !== undefined && other !== undefined);
    const reserved = reserveLeader(first, NOW_MS);
    const claimed = claimMember(other, reserved, OWNER, NOW_MS);
    assert.equal(decideMember(claimed, reserved, NOW_MS).action, 'fence');
    for (const written of [
      undefined,
      leader,
      { ...leader, state: 'sent' as const, settledMs: NOW_MS },
      { ...first, inProgress: true },
      claimMember(first, leader, OWNER, NOW_MS),
    ]) {
      const freed = decideMember({ ...claimed, id: 'not listed' }, written, NOW_MS);
      assert.ok(freed.action === 'free' && !('batchOf' in freed.notice) && freed.notice.state === 'waiting');
    }
  });

  it('raises the revision with each write', () => {
    fc.assert(
      fc.property(fc.nat({ max: 50 }), fc.nat({ max: 90_000_000 }), (revision, laterMs) => {
        const nowMs = NOW_MS + laterMs;
        const notice = { ...leader, revision };
        for (const next of [
          reserveLeader(notice, nowMs),
          startBatch(notice, members, OWNER, nowMs),
          decideBatch(notice, () => record, nowMs).notice,
          decideBatch(notice, () => undefined, nowMs).notice,
          claimMember(notice, leader, OWNER, nowMs),
          settleMember(notice, leader, nowMs),
        ]) {
          assert.equal(next.revision, revision + 1);
        }
      }),
    );
  });
});
