import type { AgentContext } from '../context.ts';
import type { Config } from '../config/config.ts';
import type { Notice, NoticeStore } from '../store/notice-records.ts';
import { forEachConcurrently } from '../util/concurrency.ts';
import { afterAttempt } from './decide-notice.ts';
import { settleMember } from './gather-notices.ts';
import { noticeMessage } from './notice-message.ts';
import type { Notifier, NoticeOutcome, OnNoticeAttempt } from './notifier.ts';

/** What {@link createNoticeAttempts} takes. */
export interface NoticeAttemptsParts {
  readonly store: Pick<AgentContext['store'], 'notices'>;
  readonly clock: AgentContext['clock'];
  readonly config: Pick<Config, 'id' | 'surveyIntervalSeconds'>;
  readonly notifier: Notifier;
  readonly reporters: Pick<AgentContext['reporters'], 'noticeAttempted' | 'noticeFailing'>;
  readonly onAttempt?: OnNoticeAttempt;
}

/** Attempts to send notices, and their outcomes. */
export interface NoticeAttempts {
  /** Writes the next revision. Returns whether no other agent was faster. */
  write(next: Notice, previous: Notice): Promise<boolean>;
  /** Writes the next revision, which is an outcome, and reports it. Returns whether no other agent was faster. */
  conclude(next: Notice, previous: Notice): Promise<boolean>;
  /**
   * Makes an attempt that is written, and writes its outcome.
   *
   * @throws AgentError `StoreUnavailable`; `signal.reason`: the message may have been sent
   */
  make(attempt: Notice, signal: AbortSignal): Promise<void>;
  /** Settles the notices for which one has spoken that is settled. An agent that finds one of them later continues. */
  settleMembers(leader: Notice): Promise<void>;
  /** Writes the outcomes that could not be written before. */
  writeRemaining(): Promise<void>;
}

/** Several, so that a slow address does not delay the rest; few, so that the service is not flooded. */
export const SEND_CONCURRENCY = 8;

/** Visits the notices for which another one speaks, several concurrently, without those that are settled. */
export async function forEachMember(
  notices: Pick<NoticeStore, 'get'>,
  leader: Notice,
  visit: (member: Notice) => Promise<unknown>,
): Promise<void> {
  const ids = leader.batch?.parts.flatMap((part) => part.notices) ?? [];
  await forEachConcurrently(ids, SEND_CONCURRENCY, async (id) => {
    const member = await notices.get(id);
    if (member?.batchOf === leader.id && member.settledMs === null) await visit(member);
  });
}

const UNKNOWN_CONTACT: NoticeOutcome = { is: 'misconfigured', code: 'UnknownContact' };

/**
 * An attempt is written before it is made, and its outcome after it. So a notice is sent twice only where an agent dies, or
 * loses the store, in between; the text is the same then, and Taskcluster drops the duplicate.
 */
export function createNoticeAttempts({
  store,
  clock,
  config,
  notifier,
  reporters,
  onAttempt,
}: NoticeAttemptsParts): NoticeAttempts {
  /** Outcomes that could not be written, by notice: they are written before anything is sent again. */
  const unwritten = new Map<string, NoticeOutcome>();

  /** A failure is reported before it is written, as no agent returns to a failed notice. */
  const write = async (next: Notice, previous: Notice): Promise<boolean> => {
    if (next.state === 'failed') await reporters.noticeFailing(next);
    return await store.notices.replace(next, previous.revision);
  };

  const conclude = async (next: Notice, previous: Notice): Promise<boolean> => {
    const isWritten = await write(next, previous);
    if (isWritten) reporters.noticeAttempted(next);
    return isWritten;
  };

  const settleMembers = async (leader: Notice): Promise<void> => {
    await forEachMember(store.notices, leader, (member) =>
      conclude(settleMember(member, leader, clock.nowMs()), member),
    );
  };

  const writeOutcome = async (attempt: Notice, outcome: NoticeOutcome): Promise<void> => {
    unwritten.set(attempt.id, outcome);
    for (let previous: Notice | undefined = attempt; previous !== undefined; ) {
      const next = afterAttempt(previous, outcome, clock.nowMs());
      if (await conclude(next, previous)) {
        if (next.settledMs !== null) await settleMembers(next);
        break;
      }
      // Another agent took this attempt for lost. A message that was sent counts, whatever that agent's attempt comes to.
      const latest = await store.notices.get(attempt.id);
      const isSameText = latest?.batch?.queues === attempt.batch?.queues;
      previous = outcome.is === 'sent' && isSameText && latest?.settledMs === null ? latest : undefined;
    }
    unwritten.delete(attempt.id);
  };

  const send = async (notice: Notice, signal: AbortSignal): Promise<NoticeOutcome> => {
    const message = noticeMessage(notice, config);
    // Another agent may know the form of the contact: it is of a later version, and has stored it.
    const outcome = message === undefined ? UNKNOWN_CONTACT : await notifier.send(message, signal);
    onAttempt?.(message?.medium, outcome.is);
    return outcome;
  };

  return {
    write,
    conclude,
    settleMembers,
    make: async (attempt, signal) => await writeOutcome(attempt, await send(attempt, signal)),
    async writeRemaining() {
      for (const [id, outcome] of unwritten) {
        const notice = await store.notices.get(id);
        if (notice === undefined || notice.settledMs !== null) unwritten.delete(id);
        else await writeOutcome(notice, outcome);
      }
    },
  };
}
