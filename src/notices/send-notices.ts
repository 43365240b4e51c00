import type { Reporters } from '../agent/reporters.ts';
import { forEachConcurrently } from '../util/concurrency.ts';
import type { Clock } from '../util/clock.ts';
import type { Notifier, SendOutcome } from './notifier.ts';
import type { Notice } from '../store/notice-records.ts';
import type { Store } from '../store/store.ts';
import { decideAfter, decideAttempt, waitForTurn } from './decide-notice.ts';
import { type MailSettings, mailOf } from './notice-mail.ts';

/** What {@link createSendNotices} works with. */
export interface SendNoticesParts {
  readonly store: Pick<Store, 'notices' | 'namespaces'>;
  readonly notifier: Notifier;
  readonly clock: Clock;
  readonly mail: MailSettings;
  readonly reporters: Pick<Reporters, 'noticeAttempted' | 'noticeFailing'>;
}

/** The sending of notices. */
export interface SendNotices {
  /**
   * Sends what is due, several at once, and resolves when each was tried. A notice that two agents see is sent by one, and
   * none before the one that it follows.
   *
   * @throws AgentError `StoreUnavailable`; `signal.reason` when the signal aborts
   */
  sweep(signal: AbortSignal): Promise<void>;
}

/** Several, so that one address that hangs holds up no other; few, so that the service is not flooded. */
const SENT_AT_ONCE = 8;
const PAGE = 100;

/**
 * Builds it. An attempt is written down before it is made and its end after it, so a notice goes out twice only where an
 * agent dies, or loses the store, in between; the text is the same then, and Taskcluster drops it.
 */
export function createSendNotices(parts: SendNoticesParts): SendNotices {
  const { store, notifier, clock, mail, reporters } = parts;
  /** What came of attempts while the store could not be told: it is written before anything is sent again. */
  const unwritten = new Map<string, SendOutcome>();

  /** Once it is written that a notice failed nobody comes back to it: what is to be told is told first. */
  const write = async (after: Notice, before: Notice): Promise<boolean> => {
    if (after.state === 'failed') await reporters.noticeFailing(after);
    return await store.notices.replace(after, before.revision);
  };
  const settle = async (begun: Notice, outcome: SendOutcome): Promise<void> => {
    unwritten.set(begun.id, outcome);
    for (let before: Notice | undefined = begun; before !== undefined; ) {
      const after = decideAfter(before, outcome, clock.nowMs());
      if (await write(after, before)) {
        reporters.noticeAttempted(after);
        break;
      }
      // Another agent took this attempt for lost. What was sent is sent, whatever becomes of the other one's.
      const latest = await store.notices.get(begun.id);
      before = outcome.is === 'sent' && latest?.settledMs === null ? latest : undefined;
    }
    unwritten.delete(begun.id);
  };

  const send = async (due: Notice, signal: AbortSignal): Promise<void> => {
    const previous = due.follows === null ? undefined : await store.notices.get(due.follows);
    const waiting = waitForTurn(due, previous, clock.nowMs());
    if (waiting !== undefined) {
      await store.notices.replace(waiting, due.revision);
      return;
    }
    const record = await store.namespaces.get(due.namespace);
    const { what, notice } = decideAttempt(due, record, clock.nowMs());
    if (!(await write(notice, due))) return;
    if (what === 'send') await settle(notice, await notifier.send(mailOf(notice, mail), signal));
    else reporters.noticeAttempted(notice);
  };

  const writeUnwritten = async (): Promise<void> => {
    for (const [id, outcome] of unwritten) {
      const notice = await store.notices.get(id);
      if (notice === undefined || notice.settledMs !== null) unwritten.delete(id);
      else await settle(notice, outcome);
    }
  };

  return {
    async sweep(signal) {
      for (;;) {
        signal.throwIfAborted();
        await writeUnwritten();
        const due = await store.notices.due({ beforeMs: clock.nowMs(), limit: PAGE });
        await forEachConcurrently(due, SENT_AT_ONCE, async (notice) => {
          signal.throwIfAborted();
          await send(notice, signal);
        });
        if (due.length < PAGE) return;
      }
    },
  };
}
