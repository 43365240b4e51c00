import { backoffMs } from '../util/retry.ts';
import type { SendOutcome } from './notifier.ts';
import type { Notice } from '../store/notice-records.ts';
import type { NamespaceRecord } from '../store/namespace-record.ts';

/**
 * For how long an attempt is left to whoever began it, in ms: several times what a notifier may take, so that a second
 * agent does not send what is just being sent.
 */
export const ATTEMPT_LEASE_MS = 60_000;

/** After so long it is news to nobody, in ms. */
export const GIVE_UP_MS = 24 * 60 * 60_000;

/** The pauses after failures. */
const PAUSES = { firstMs: 15_000, maxMs: 30 * 60_000 } as const;

/** The pause where patience helps more than trying: an operator has to act, or a limit for the address to pass. In ms. */
const SLOW_PAUSE_MS = 10 * 60_000;

/** After another notice of the same queue was to be sent, in ms: it is mostly settled by then. */
const FOLLOW_MS = 2_000;

/** What a notice tells of. */
export type NoticeAbout = Pick<
  Notice,
  | 'id'
  | 'kind'
  | 'namespace'
  | 'incarnation'
  | 'queue'
  | 'contact'
  | 'messages'
  | 'warnAtMessages'
  | 'deleteAtMessages'
  | 'seenMs'
> &
  Partial<Pick<Notice, 'follows'>>;

/**
 * A notice to be added to the store. A `waiting` one is sent at once. A `held` one is for what is about to be done: it
 * is sent once it was released ({@link releaseNotice}), or never, when it was withdrawn ({@link withdrawNotice}).
 */
export function newNotice(about: NoticeAbout, state: 'waiting' | 'held' = 'waiting'): Notice {
  return {
    follows: null,
    ...about,
    revision: 1,
    state,
    attempts: 0,
    nextAttemptMs: about.seenMs,
    inProgress: false,
    mayHaveArrived: false,
    lastError: null,
    settledMs: null,
  };
}

/** What to do with a notice that is due; `notice` is what to write first. */
export interface NoticeStep {
  readonly what: 'send' | 'withdraw' | 'fail';
  readonly notice: Notice;
}

/** A held notice as it is to be written once what it tells of has happened: it is sent at once. */
export function releaseNotice(notice: Notice, nowMs: number): Notice {
  return { ...notice, revision: notice.revision + 1, state: 'waiting', nextAttemptMs: nowMs };
}

/** A notice as it is to be written once it has become pointless. */
export function withdrawNotice(notice: Notice, nowMs: number): Notice {
  return { ...notice, revision: notice.revision + 1, state: 'withdrawn', settledMs: nowMs };
}

/**
 * A notice as it is to be written where its turn has not come: that a queue is small again, or deleted, is not told before
 * that it grew. Undefined where it may be sent.
 *
 * @param previous the notice that it follows, if that is known
 */
export function waitForTurn(notice: Notice, previous: Notice | undefined, nowMs: number): Notice | undefined {
  if (previous === undefined || previous.settledMs !== null) return undefined;
  // One that is under way counts as due when nobody hears of it again.
  const dueMs = previous.inProgress ? nowMs : Math.max(previous.nextAttemptMs, nowMs);
  return { ...notice, revision: notice.revision + 1, nextAttemptMs: dueMs + FOLLOW_MS };
}

/**
 * Decides about a notice that is due. An attempt is written down before it is made: no second agent makes it then, and
 * one that is never heard of again counts.
 *
 * It goes to the contact of today. Who cleared the contact wants no mail. When the incarnation of the namespace is over, its
 * last contact is still told of what was deleted, and of nothing else: there is nothing left to act on.
 */
export function decideAttempt(notice: Notice, record: NamespaceRecord | undefined, nowMs: number): NoticeStep {
  // A tombstone has no contact, whoever had it.
  const current = record?.incarnation === notice.incarnation && record.state !== 'deleted' ? record : undefined;
  const isEnding = current === undefined || current.state === 'expiring';
  if (current?.contact === null || (isEnding && notice.kind !== 'queue-deletion')) {
    return { what: 'withdraw', notice: withdrawNotice(notice, nowMs) };
  }
  if (notice.attempts > 0 && nowMs >= notice.seenMs + GIVE_UP_MS) {
    return { what: 'fail', notice: failed(notice, notice.lastError ?? 'NoAnswer', nowMs) };
  }
  return {
    what: 'send',
    notice: {
      ...notice,
      revision: notice.revision + 1,
      contact: current?.contact ?? notice.contact,
      attempts: notice.attempts + 1,
      nextAttemptMs: nowMs + ATTEMPT_LEASE_MS,
      inProgress: true,
      mayHaveArrived: notice.mayHaveArrived || notice.inProgress,
    },
  };
}

/**
 * The notice after an attempt, as it is to be written.
 *
 * @param notice as it was when the attempt was begun
 */
export function decideAfter(notice: Notice, outcome: SendOutcome, nowMs: number): Notice {
  switch (outcome.is) {
    case 'sent':
      return sent(notice, nowMs);
    case 'refused':
      return failed(notice, outcome.code, nowMs);
    case 'not-sent':
      // The service knows it already: an earlier attempt did get through.
      if (notice.mayHaveArrived) return sent(notice, nowMs);
      return again(notice, outcome.code, SLOW_PAUSE_MS, nowMs);
    case 'misconfigured':
      return again(notice, outcome.code, SLOW_PAUSE_MS, nowMs);
    case 'unavailable': {
      const pauseMs = backoffMs(notice.attempts, PAUSES);
      const mayHaveArrived = notice.mayHaveArrived || outcome.mayHaveArrived;
      return again({ ...notice, mayHaveArrived }, outcome.code, pauseMs, nowMs);
    }
  }
}

function sent(notice: Notice, nowMs: number): Notice {
  return { ...ended(notice), state: 'sent', settledMs: nowMs };
}

function failed(notice: Notice, lastError: string, nowMs: number): Notice {
  return { ...ended(notice), state: 'failed', lastError, settledMs: nowMs };
}

function again(notice: Notice, lastError: string, pauseMs: number, nowMs: number): Notice {
  if (nowMs + pauseMs > notice.seenMs + GIVE_UP_MS) return failed(notice, lastError, nowMs);
  return { ...ended(notice), lastError, nextAttemptMs: nowMs + pauseMs };
}

function ended(notice: Notice): Notice {
  return { ...notice, revision: notice.revision + 1, inProgress: false };
}
