import type { AgentContext } from '../context.ts';
import type { NamespaceRecord } from '../store/namespace-record.ts';
import type { Notice } from '../store/notice-records.ts';
import { forEachConcurrently } from '../util/concurrency.ts';
import { decideAttempt, GATHER_MS, postponeUntilTurn, SLOW_RETRY_MS, withholdNotice } from './decide-notice.ts';
import { sortNotices, splitGroup, withWithheld } from './gather-notices.ts';
import { limitMessages } from './limit-messages.ts';
import { createNoticeAttempts, type NoticeAttemptsParts, SEND_CONCURRENCY } from './notice-attempts.ts';
import { noNotifier, type OnNoticeAttempt } from './notifier.ts';
import { createBatchSender } from './send-batches.ts';
import { createTaskclusterNotifier } from './taskcluster-notify.ts';

/** What {@link createNoticeSender} takes. */
export interface NoticeSenderParts extends NoticeAttemptsParts {
  readonly store: Pick<AgentContext['store'], 'notices' | 'namespaces'>;
}

/** The sending of notices. */
export interface Notices {
  /**
   * Sends the notices that are due, several concurrently, and those about the same kind of change to the same contact in one
   * message. Of two agents one sends a notice, and never before the notice that it follows is settled.
   *
   * @throws AgentError `StoreUnavailable`; `signal.reason` when the signal aborts
   */
  sweep(signal: AbortSignal): Promise<void>;
}

/** Of those that wait for others there may be many. */
const PAGE = 2_000;

/** The sending of notices with the notifier that is configured. */
export function createNotices(
  context: Pick<AgentContext, 'config' | 'store' | 'clock' | 'reporters'>,
  onAttempt: OnNoticeAttempt,
): Notices {
  const { taskclusterRootUrl: rootUrl, taskclusterClientId, taskclusterAccessToken } = context.config;
  if (taskclusterClientId === null || taskclusterAccessToken === undefined) {
    return createNoticeSender({ ...context, onAttempt, notifier: noNotifier });
  }
  const credentials = { clientId: taskclusterClientId, accessToken: taskclusterAccessToken };
  const notifier = createTaskclusterNotifier({ rootUrl, ...credentials, clock: context.clock });
  return createNoticeSender({ ...context, onAttempt, notifier: limitMessages(notifier, context.clock) });
}

/** Sends the notices in the store. */
export function createNoticeSender(parts: NoticeSenderParts): Notices {
  const { store, clock, notifier } = parts;
  const attempts = createNoticeAttempts(parts);
  const batches = createBatchSender({ store, clock, attempts });

  /** Whether it is the turn of a notice. Otherwise it is written with a later time. */
  const isItsTurn = async (due: Notice): Promise<boolean> => {
    const previous = due.follows === null ? undefined : await store.notices.get(due.follows);
    const postponed = postponeUntilTurn(due, previous, clock.nowMs());
    if (postponed !== undefined) await store.notices.replace(postponed, due.revision);
    return postponed === undefined;
  };

  const attempt = async (due: Notice, record: NamespaceRecord | undefined, signal: AbortSignal): Promise<void> => {
    const { action, notice } = decideAttempt(due, record, clock.nowMs());
    if (action !== 'send') await attempts.conclude(notice, due);
    else if (await attempts.write(notice, due)) await attempts.make(notice, signal);
  };

  const attemptInTurn = async (due: Notice, signal: AbortSignal): Promise<void> => {
    if (await isItsTurn(due)) await attempt(due, await store.namespaces.get(due.namespace), signal);
  };

  const withhold = async (all: readonly Notice[]): Promise<void> => {
    await forEachConcurrently(all, SEND_CONCURRENCY, async (due) => {
      await attempts.conclude(withholdNotice(due, clock.nowMs()), due);
    });
  };

  /** With what was withheld from the same contact. */
  const joinWithheld = async (groups: readonly (readonly Notice[])[]): Promise<(readonly Notice[])[]> => {
    if (groups.length === 0) return [];
    const waiting = await store.notices.due({ beforeMs: clock.nowMs() + SLOW_RETRY_MS, limit: PAGE });
    return groups.map((group) =>
      notifier.isLimited?.(group[0]?.contact ?? '') ? group : withWithheld(group, waiting),
    );
  };

  /** Sends a group to the contacts that its namespaces have now: these may differ by now. */
  const sendGroup = async (group: readonly Notice[], signal: AbortSignal): Promise<void> => {
    const [only] = group;
    if (group.length === 1 && only !== undefined) return await attemptInTurn(only, signal);
    const records = new Map<string, Promise<NamespaceRecord | undefined>>();
    const byContact = new Map<string, Notice[]>();
    await forEachConcurrently(group, SEND_CONCURRENCY, async (due) => {
      signal.throwIfAborted();
      if (!(await isItsTurn(due))) return;
      const reading = records.get(due.namespace) ?? store.namespaces.get(due.namespace);
      records.set(due.namespace, reading);
      const { action, notice } = decideAttempt(due, await reading, clock.nowMs());
      if (action === 'send') byContact.set(notice.contact, [...(byContact.get(notice.contact) ?? []), due]);
      else await attempts.conclude(notice, due);
    });
    for (const [contact, all] of byContact) {
      if (notifier.isLimited?.(contact) === true) {
        await withhold(all);
        continue;
      }
      for (const chunk of splitGroup(all)) {
        signal.throwIfAborted();
        const [first] = chunk;
        if (chunk.length > 1) await batches.send(chunk, contact, signal);
        else await attempt(first, await records.get(first.namespace), signal);
      }
    }
  };

  return {
    async sweep(signal) {
      for (;;) {
        signal.throwIfAborted();
        await attempts.writeRemaining();
        const nowMs = clock.nowMs();
        const listed = await store.notices.due({ beforeMs: nowMs + GATHER_MS, limit: PAGE });
        const { alone, batches: again, members, groups } = sortNotices(listed, nowMs);
        await batches.decide(members);
        const work = [
          ...alone.map((due) => () => attemptInTurn(due, signal)),
          ...again.map((batch) => () => batches.resume(batch, signal)),
          ...(await joinWithheld(groups)).map((group) => () => sendGroup(group, signal)),
        ];
        await forEachConcurrently(work, SEND_CONCURRENCY, async (one) => {
          signal.throwIfAborted();
          await one();
        });
        if (listed.length < PAGE || work.length + members.length === 0) return;
      }
    },
  };
}
