import type { NoticeKind } from '../contract/notice-kinds.ts';
import type { NamespaceRecord } from '../store/namespace-record.ts';
import type { Notice } from '../store/notice-records.ts';
import { backoffMs } from '../util/retry.ts';
import type { NoticeOutcome } from './notifier.ts';

/**
 * How long an attempt belongs to the agent that began it, in ms: several times what a notifier may take, so that no second
 * agent sends the notice at the same time.
 */
export const ATTEMPT_LEASE_MS = 60_000;

/** A notice is abandoned this long after the observation that it states, in ms. */
export const ABANDON_AFTER_MS = 24 * 60 * 60_000;

/** The pauses between attempts while the service is unavailable. */
const RETRY = { firstMs: 15_000, maxMs: 30 * 60_000 } as const;

/** The pause where frequent attempts do not help, because an operator has to act or a rate limit applies, in ms. */
export const SLOW_RETRY_MS = 10 * 60_000;

/** How long after the next attempt of the preceding notice a notice is due, in ms. */
export const FOLLOW_MS = 2_000;

/** The `lastError` of a notice that was not sent, because its contact has got many. */
export const WITHHELD = 'TooManyMessages';

/** A notice is due this long after it was added, in ms: others to the same contact may come, and are sent with it. */
export const GATHER_MS = 2_000;

/** The notices of what an owner has lost. They are held before it happens. */
export const LOSS_KINDS = ['queue-deletion', 'queue-purge', 'queue-expiry'] as const satisfies readonly NoticeKind[];

/** One of {@link LOSS_KINDS}. */
export type LossKind = (typeof LOSS_KINDS)[number];

const LOSSES: ReadonlySet<NoticeKind> = new Set(LOSS_KINDS);

type NoticeContent = Pick<
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
  Partial<
    Pick<
      Notice,
      | 'follows'
      | 'bytes'
      | 'warnAtBytes'
      | 'deleteAtBytes'
      | 'onOvergrown'
      | 'oldestMs'
      | 'idleSinceMs'
      | 'expiresMs'
      | 'forecast'
      | 'peakMessages'
      | 'peakBytes'
    >
  >;

/**
 * A notice to add to the store. A `waiting` one is due at `dueMs`. A `held` one states what is about to be done: it is
 * sent after {@link releaseNotice}, or never, after {@link withdrawNotice}.
 */
export function newNotice(
  content: NoticeContent,
  state: 'waiting' | 'held' = 'waiting',
  dueMs: number = content.seenMs,
): Notice {
  return {
    follows: null,
    bytes: null,
    warnAtBytes: null,
    deleteAtBytes: null,
    ...content,
    revision: 1,
    state,
    attempts: 0,
    nextAttemptMs: dueMs,
    inProgress: false,
    mayHaveArrived: false,
    lastError: null,
    settledMs: null,
  };
}

/** What to do with a notice that is due. */
export interface AttemptDecision {
  readonly action: 'send' | 'withdraw' | 'fail';
  /** The notice as it must be written first. */
  readonly notice: Notice;
}

/** A held notice whose statement has become true: it is due with others that come soon. */
export function releaseNotice(notice: Notice, nowMs: number): Notice {
  return { ...notice, revision: notice.revision + 1, state: 'waiting', nextAttemptMs: nowMs + GATHER_MS };
}

/** A notice that has become pointless. */
export function withdrawNotice(notice: Notice, nowMs: number): Notice {
  return { ...notice, revision: notice.revision + 1, state: 'withdrawn', settledMs: nowMs };
}

/**
 * The notice with a later `nextAttemptMs` while the one that it follows is not settled: the owner reads of the warning
 * before the recovery or the deletion. Undefined where it may be sent now.
 *
 * @param previous the notice that it follows, if that is known
 */
export function postponeUntilTurn(notice: Notice, previous: Notice | undefined, nowMs: number): Notice | undefined {
  if (previous === undefined || previous.settledMs !== null) return undefined;
  // The `nextAttemptMs` of an attempt in progress is the end of its lease, not of the attempt.
  const dueMs = previous.inProgress ? nowMs : Math.max(previous.nextAttemptMs, nowMs);
  return { ...notice, revision: notice.revision + 1, nextAttemptMs: dueMs + FOLLOW_MS };
}

/** To which contact a notice goes now; null: to none. See {@link decideAttempt}. */
export function contactNow(
  notice: Pick<Notice, 'kind' | 'incarnation' | 'contact'>,
  record: NamespaceRecord | undefined,
): string | null {
  // A tombstone has no contact.
  const current = record?.incarnation === notice.incarnation && record.state !== 'deleted' ? record : undefined;
  const isEnding = current === undefined || current.state === 'expiring';
  if (current?.contact === null || (isEnding && !LOSSES.has(notice.kind))) return null;
  return current?.contact ?? notice.contact;
}

/**
 * Decides about a notice that is due. An attempt is written before it is made: no second agent makes it then, and an
 * attempt without a known outcome counts.
 *
 * It is sent to the current contact. A contact that was cleared gets no mail. After the end of the incarnation its last
 * contact is still sent the notices of losses, and no other: there is nothing left to act on.
 */
export function decideAttempt(notice: Notice, record: NamespaceRecord | undefined, nowMs: number): AttemptDecision {
  const contact = contactNow(notice, record);
  if (contact === null) return { action: 'withdraw', notice: withdrawNotice(notice, nowMs) };
  if (notice.attempts > 0 && nowMs >= notice.seenMs + ABANDON_AFTER_MS) {
    return { action: 'fail', notice: failNotice(notice, notice.lastError ?? 'NoAnswer', nowMs) };
  }
  return { action: 'send', notice: startAttempt({ ...notice, contact }, nowMs) };
}

/** A notice with an attempt that is about to be made, as it must be written first. */
export function startAttempt(notice: Notice, nowMs: number): Notice {
  return {
    ...notice,
    revision: notice.revision + 1,
    attempts: notice.attempts + 1,
    nextAttemptMs: nowMs + ATTEMPT_LEASE_MS,
    inProgress: true,
    mayHaveArrived: notice.mayHaveArrived || notice.inProgress,
  };
}

/**
 * The notice after an attempt, as it must be written.
 *
 * @param notice as it was written before the attempt
 */
export function afterAttempt(notice: Notice, outcome: NoticeOutcome, nowMs: number): Notice {
  switch (outcome.is) {
    case 'sent':
      return markSent(notice, nowMs);
    case 'refused':
      return failNotice(notice, outcome.code, nowMs);
    case 'not-sent':
      // The service has dropped a duplicate: an earlier attempt has succeeded.
      if (notice.mayHaveArrived) return markSent(notice, nowMs);
      return retryIn(SLOW_RETRY_MS, notice, outcome.code, nowMs);
    case 'limited':
    case 'misconfigured':
      return retryIn(SLOW_RETRY_MS, notice, outcome.code, nowMs);
    case 'unavailable': {
      const pauseMs = backoffMs(notice.attempts, RETRY);
      const mayHaveArrived = notice.mayHaveArrived || outcome.mayHaveArrived;
      return retryIn(pauseMs, { ...notice, mayHaveArrived }, outcome.code, nowMs);
    }
  }
}

/** A notice that was not sent, because its contact has got many. It counts as an attempt. */
export function withholdNotice(notice: Notice, nowMs: number): Notice {
  return retryIn(SLOW_RETRY_MS, { ...notice, attempts: notice.attempts + 1 }, WITHHELD, nowMs);
}

function markSent(notice: Notice, nowMs: number): Notice {
  return { ...finishAttempt(notice), state: 'sent', settledMs: nowMs };
}

/** A notice that is abandoned. */
export function failNotice(notice: Notice, lastError: string, nowMs: number): Notice {
  return { ...finishAttempt(notice), state: 'failed', lastError, settledMs: nowMs };
}

function retryIn(pauseMs: number, notice: Notice, lastError: string, nowMs: number): Notice {
  if (nowMs + pauseMs > notice.seenMs + ABANDON_AFTER_MS) return failNotice(notice, lastError, nowMs);
  return { ...finishAttempt(notice), lastError, nextAttemptMs: nowMs + pauseMs };
}

function finishAttempt(notice: Notice): Notice {
  return { ...notice, revision: notice.revision + 1, inProgress: false };
}
