import type { AgentContext } from '../context.ts';
import type { Config } from '../config/config.ts';
import type { Notice } from '../store/notice-records.ts';
import { forEachConcurrently } from '../util/concurrency.ts';
import { afterAttempt, decideAttempt, postponeUntilTurn } from './decide-notice.ts';
import { noticeMessage } from './notice-message.ts';
import { noNotifier, type Notifier, type NoticeOutcome } from './notifier.ts';
import { createTaskclusterNotifier } from './taskcluster-notify.ts';

/** What {@link createNoticeSender} takes. */
export interface NoticeSenderParts {
  readonly store: Pick<AgentContext['store'], 'notices' | 'namespaces'>;
  readonly clock: AgentContext['clock'];
  readonly config: Pick<Config, 'id' | 'surveyIntervalSeconds'>;
  readonly notifier: Notifier;
  readonly reporters: Pick<AgentContext['reporters'], 'noticeAttempted' | 'noticeFailing'>;
}

/** The sending of notices. */
export interface Notices {
  /**
   * Sends the notices that are due, several concurrently. Of two agents one sends a notice, and never before the notice
   * that it follows is settled.
   *
   * @throws AgentError `StoreUnavailable`; `signal.reason` when the signal aborts
   */
  sweep(signal: AbortSignal): Promise<void>;
}

/** Several, so that a slow address does not delay the rest; few, so that the service is not flooded. */
const CONCURRENCY = 8;
const PAGE = 100;

const UNKNOWN_CONTACT: NoticeOutcome = { is: 'misconfigured', code: 'UnknownContact' };

/** The sending of notices with the notifier that is configured. */
export function createNotices(context: Pick<AgentContext, 'config' | 'store' | 'clock' | 'reporters'>): Notices {
  const { taskclusterRootUrl: rootUrl, taskclusterClientId, taskclusterAccessToken } = context.config;
  if (taskclusterClientId === null || taskclusterAccessToken === undefined) {
    return createNoticeSender({ ...context, notifier: noNotifier });
  }
  const credentials = { clientId: taskclusterClientId, accessToken: taskclusterAccessToken };
  const notifier = createTaskclusterNotifier({ rootUrl, ...credentials, clock: context.clock });
  return createNoticeSender({ ...context, notifier });
}

/**
 * An attempt is written before it is made, and its outcome after it. So a notice is sent twice only where an agent dies, or
 * loses the store, in between; the text is the same then, and Taskcluster drops the duplicate.
 */
export function createNoticeSender(parts: NoticeSenderParts): Notices {
  const { store, notifier, clock, config, reporters } = parts;
  /** Outcomes that could not be written, by notice: they are written before anything is sent again. */
  const unwritten = new Map<string, NoticeOutcome>();

  /** A failure is reported before it is written, as no agent returns to a failed notice. */
  const write = async (next: Notice, previous: Notice): Promise<boolean> => {
    if (next.state === 'failed') await reporters.noticeFailing(next);
    return await store.notices.replace(next, previous.revision);
  };

  const writeOutcome = async (attempt: Notice, outcome: NoticeOutcome): Promise<void> => {
    unwritten.set(attempt.id, outcome);
    for (let previous: Notice | undefined = attempt; previous !== undefined; ) {
      const next = afterAttempt(previous, outcome, clock.nowMs());
      if (await write(next, previous)) {
        reporters.noticeAttempted(next);
        break;
      }
      // Another agent took this attempt for lost. A mail that was sent counts, whatever that agent's attempt comes to.
      const latest = await store.notices.get(attempt.id);
      previous = outcome.is === 'sent' && latest?.settledMs === null ? latest : undefined;
    }
    unwritten.delete(attempt.id);
  };

  const writeRemainingOutcomes = async (): Promise<void> => {
    for (const [id, outcome] of unwritten) {
      const notice = await store.notices.get(id);
      if (notice === undefined || notice.settledMs !== null) unwritten.delete(id);
      else await writeOutcome(notice, outcome);
    }
  };

  const send = async (notice: Notice, signal: AbortSignal): Promise<NoticeOutcome> => {
    const message = noticeMessage(notice, config);
    // Another agent may know the form of the contact: it is of a later version, and has stored it.
    return message === undefined ? UNKNOWN_CONTACT : await notifier.send(message, signal);
  };

  const attempt = async (due: Notice, signal: AbortSignal): Promise<void> => {
    const previous = due.follows === null ? undefined : await store.notices.get(due.follows);
    const postponed = postponeUntilTurn(due, previous, clock.nowMs());
    if (postponed !== undefined) {
      await store.notices.replace(postponed, due.revision);
      return;
    }
    const record = await store.namespaces.get(due.namespace);
    const { action, notice } = decideAttempt(due, record, clock.nowMs());
    if (!(await write(notice, due))) return;
    if (action === 'send') await writeOutcome(notice, await send(notice, signal));
    else reporters.noticeAttempted(notice);
  };

  return {
    async sweep(signal) {
      for (;;) {
        signal.throwIfAborted();
        await writeRemainingOutcomes();
        const due = await store.notices.due({ beforeMs: clock.nowMs(), limit: PAGE });
        await forEachConcurrently(due, CONCURRENCY, async (notice) => {
          signal.throwIfAborted();
          await attempt(notice, signal);
        });
        if (due.length < PAGE) return;
      }
    },
  };
}
