import { createHash } from 'node:crypto';
import type { Notice, NoticeKind, NoticeStore } from '../store/notice-records.ts';
import type { QueueAlert } from '../store/queue-alert-records.ts';
import type { NamespaceRecord } from '../store/namespace-record.ts';
import { newNotice, releaseNotice, withdrawNotice } from '../notices/decide-notice.ts';
import type { AlertLimits } from './decide-alert.ts';

/** What {@link createQueueNotices} works with. */
export interface QueueNoticesParts {
  readonly store: Pick<NoticeStore, 'add' | 'get' | 'replace'>;
  readonly limits: AlertLimits;
}

/**
 * How far the owner is warned.
 * - `done`: the warning was sent, or at least tried; or there is nobody to warn.
 * - `waiting`: it is stored, and nobody has tried yet.
 * - `never`: it will never be tried, as there was no contact then.
 */
export type Warning = 'done' | 'waiting' | 'never';

/** The notices of alerts. Their ids are made from the alert, so that adding one again changes nothing. */
export interface QueueNotices {
  /** Stores the warning, unless there is nobody to warn. */
  addWarning(record: NamespaceRecord, alert: QueueAlert): Promise<void>;
  /** How far the warning is; stores it where the namespace got a contact only later. */
  warning(record: NamespaceRecord, alert: QueueAlert): Promise<Warning>;
  /** Stores that it is small again, where a warning was stored. */
  addRecovery(record: NamespaceRecord, alert: QueueAlert): Promise<void>;
  /** Stores that it is about to be deleted; it is sent when it has been. */
  holdDeletion(record: NamespaceRecord, alert: QueueAlert): Promise<void>;
  /** It has been deleted. */
  releaseDeletion(alert: QueueAlert, nowMs: number): Promise<void>;
  /** It is not deleted after all. */
  withdrawDeletion(alert: QueueAlert, nowMs: number): Promise<void>;
}

/** Builds them. */
export function createQueueNotices({ store, limits }: QueueNoticesParts): QueueNotices {
  const add = async (
    kind: NoticeKind,
    { contact }: NamespaceRecord,
    alert: QueueAlert,
    state: 'waiting' | 'held' = 'waiting',
  ): Promise<void> => {
    if (contact === null) return;
    const { namespace, incarnation, queue, messages, seenMs } = alert;
    const follows = kind === 'queue-warning' ? null : noticeId(alert, 'queue-warning');
    const about = {
      id: noticeId(alert, kind),
      kind,
      namespace,
      incarnation,
      queue,
      contact,
      follows,
      messages,
      seenMs,
    };
    await store.add(newNotice({ ...about, ...limits }, state));
  };
  /** Writes what becomes of the notice of the deletion while it is held. */
  const change = async (alert: QueueAlert, next: (held: Notice) => Notice): Promise<void> => {
    for (;;) {
      const held = await store.get(noticeId(alert, 'queue-deletion'));
      if (held?.state !== 'held') return;
      if (await store.replace(next(held), held.revision)) return;
    }
  };
  return {
    addWarning: (record, alert) => add('queue-warning', record, alert),
    async warning(record, alert) {
      if (record.contact === null) return 'done';
      const notice = await store.get(noticeId(alert, 'queue-warning'));
      if (notice === undefined) {
        await add('queue-warning', record, alert);
        return 'waiting';
      }
      if (notice.state === 'withdrawn' && notice.attempts === 0) return 'never';
      // The first attempt may still be on its way.
      return notice.attempts > (notice.inProgress ? 1 : 0) || notice.state === 'failed' ? 'done' : 'waiting';
    },
    async addRecovery(record, alert) {
      if ((await store.get(noticeId(alert, 'queue-warning'))) !== undefined)
        await add('queue-recovered', record, alert);
    },
    holdDeletion: (record, alert) => add('queue-deletion', record, alert, 'held'),
    // With the depth that it was deleted for: it may have been held since an earlier one.
    releaseDeletion: (alert, nowMs) =>
      change(alert, (held) => ({ ...releaseNotice(held, nowMs), messages: alert.messages, seenMs: alert.seenMs })),
    withdrawDeletion: (alert, nowMs) => change(alert, (held) => withdrawNotice(held, nowMs)),
  };
}

function noticeId({ queue, episode }: QueueAlert, kind: NoticeKind): string {
  return createHash('sha256')
    .update(JSON.stringify([queue, episode, kind]))
    .digest('base64url');
}
