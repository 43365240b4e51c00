import { createHash } from 'node:crypto';
import type { NoticeKind } from '../contract/notice-kinds.ts';
import {
  GATHER_MS,
  LOSS_KINDS,
  type LossKind,
  newNotice,
  releaseNotice,
  withdrawNotice,
} from '../notices/decide-notice.ts';
import { speaksFor } from '../notices/gather-notices.ts';
import type { NamespaceRecord } from '../store/namespace-record.ts';
import type { Notice, NoticeForecast, NoticeStore } from '../store/notice-records.ts';
import type { QueueAlert } from '../store/queue-alert-records.ts';
import type { Clock } from '../util/clock.ts';
import { forecastQueue, type QueueGrowth } from './forecast-queue.ts';
import { limitsOfQueue, type QueueLimits, type QueueLimitsConfig } from './queue-limits.ts';

interface QueueNoticesParts {
  readonly store: { readonly notices: Pick<NoticeStore, 'add' | 'get' | 'replace'> };
  readonly config: QueueLimitsConfig;
  readonly clock: Pick<Clock, 'nowMs'>;
  /** What this agent knows of the growth of a queue. */
  readonly growthOf: (queue: string) => QueueGrowth;
}

/**
 * The state of the warning to an owner.
 * - `done`: it was sent, or at least attempted; or the namespace has no contact.
 * - `waiting`: it is stored and not attempted yet.
 * - `never-sent`: it was withdrawn before any attempt, because the namespace had no contact then.
 */
type WarningState = 'done' | 'waiting' | 'never-sent';

/** The notices of alerts. Their ids are derived from the alert, so adding one twice changes nothing. */
export interface QueueNotices {
  /** Stores the warning if the namespace has a contact. */
  addWarning(record: NamespaceRecord, alert: QueueAlert): Promise<void>;
  /** Stores the warning if it is not stored yet, as the contact may be newer than the alert. */
  ensureWarning(record: NamespaceRecord, alert: QueueAlert): Promise<WarningState>;
  /** Stores that the queue has recovered if a warning was stored. */
  addRecovery(record: NamespaceRecord, alert: QueueAlert): Promise<void>;
  /** Stores that the queue has passed the threshold for deletion and stays. */
  addLeft(record: NamespaceRecord, alert: QueueAlert): Promise<void>;
  /** Stores the notice of a loss before it happens. It stays held until {@link QueueNotices.release}. */
  hold(kind: LossKind, record: NamespaceRecord, alert: QueueAlert): Promise<void>;
  /** Has the held notice sent: the loss has happened. */
  release(kind: LossKind, alert: QueueAlert, nowMs: number): Promise<void>;
  /** Withdraws what is held about the queue: nothing is lost. */
  withdraw(alert: QueueAlert, nowMs: number): Promise<void>;
}

/** Writes to the outbox of notices in the store; it sends nothing. */
export function createQueueNotices({ store: { notices }, config, clock, growthOf }: QueueNoticesParts): QueueNotices {
  const add = async (
    kind: NoticeKind,
    record: NamespaceRecord,
    alert: QueueAlert,
    state: 'waiting' | 'held' = 'waiting',
  ): Promise<void> => {
    const { contact } = record;
    if (contact === null) return;
    const { namespace, incarnation, queue, messages, bytes, seenMs } = alert;
    const id = noticeId(alert, kind);
    const first = warningKindOf(alert);
    const follows = kind === first ? null : noticeId(alert, first);
    const { warnAtMessages, deleteAtMessages, warnAtBytes, deleteAtBytes, onOvergrown } = limitsOfQueue(
      config,
      queue,
      record,
    );
    const limits = {
      warnAtMessages,
      deleteAtMessages,
      warnAtBytes,
      deleteAtBytes,
      ...(onOvergrown === 'delete' ? {} : { onOvergrown }),
    };
    const about = { id, kind, namespace, incarnation, queue, contact, follows, messages, bytes, seenMs, ...limits };
    await notices.add(newNotice({ ...about, ...detailsOf(kind, alert, record) }, state, clock.nowMs() + GATHER_MS));
  };

  const detailsOf = (
    kind: NoticeKind,
    { queue, peakMessages, peakBytes, idleSinceMs, changedMs }: QueueAlert,
    record: NamespaceRecord,
  ): Pick<Notice, 'forecast' | 'peakMessages' | 'peakBytes' | 'idleSinceMs' | 'expiresMs'> => {
    if (idleSinceMs !== undefined) {
      const { idleExpiryMs } = limitsOfQueue(config, queue, record);
      return { idleSinceMs, ...(kind === 'queue-idle' ? { expiresMs: changedMs + (idleExpiryMs ?? 0) } : {}) };
    }
    if (kind === 'queue-deletion' || kind === 'queue-purge' || kind === 'queue-left') return {};
    if (kind === 'queue-warning') {
      const forecast = forecastDeletion(growthOf(queue), limitsOfQueue(config, queue, record));
      return forecast === undefined ? {} : { forecast };
    }
    return {
      ...(peakMessages === undefined ? {} : { peakMessages }),
      ...(peakBytes === undefined ? {} : { peakBytes }),
    };
  };

  /** The notice that is sent for this one. */
  const speakerOf = async (notice: Notice): Promise<Notice> => {
    const leader = notice.batchOf === undefined ? undefined : await notices.get(notice.batchOf);
    return leader !== undefined && speaksFor(leader, notice.id) ? leader : notice;
  };

  const replaceHeld = async (kind: LossKind, alert: QueueAlert, next: (held: Notice) => Notice): Promise<void> => {
    for (;;) {
      const held = await notices.get(noticeId(alert, kind));
      if (held?.state !== 'held') return;
      if (await notices.replace(next(held), held.revision)) return;
    }
  };

  return {
    addWarning: (record, alert) => add(warningKindOf(alert), record, alert),
    async ensureWarning(record, alert) {
      if (record.contact === null) return 'done';
      const kind = warningKindOf(alert);
      const stored = await notices.get(noticeId(alert, kind));
      if (stored === undefined) {
        await add(kind, record, alert);
        return 'waiting';
      }
      const notice = await speakerOf(stored);
      if (notice.state === 'withdrawn' && notice.attempts === 0) return 'never-sent';
      const finishedAttempts = notice.attempts - (notice.inProgress ? 1 : 0);
      return finishedAttempts > 0 || notice.state === 'failed' ? 'done' : 'waiting';
    },
    async addRecovery(record, alert) {
      const warning = await notices.get(noticeId(alert, 'queue-warning'));
      if (warning !== undefined) await add('queue-recovered', record, alert);
    },
    addLeft: (record, alert) => add('queue-left', record, alert),
    hold: (kind, record, alert) => add(kind, record, alert, 'held'),
    // With the depth at the loss: it may have been held since an earlier one.
    release: (kind, alert, nowMs) =>
      replaceHeld(kind, alert, (held) => ({
        ...releaseNotice(held, nowMs),
        messages: alert.messages,
        bytes: alert.bytes,
        seenMs: alert.seenMs,
        ...(alert.oldestMs === undefined ? {} : { oldestMs: alert.oldestMs }),
      })),
    async withdraw(alert, nowMs) {
      for (const kind of LOSS_KINDS) await replaceHeld(kind, alert, (held) => withdrawNotice(held, nowMs));
    },
  };
}

/** When a queue is deleted at its present rate; undefined where that is not known. */
function forecastDeletion(growth: QueueGrowth, limits: QueueLimits): NoticeForecast | undefined {
  const { next, messagesPerMinute, bytesPerMinute } = forecastQueue(growth, 'delete', limits);
  const perMinute = next?.unit === 'bytes' ? bytesPerMinute : messagesPerMinute;
  if (next?.reachedMs === undefined || perMinute === undefined) return undefined;
  return { unit: next.unit, perMinute, reachedMs: next.reachedMs };
}

/** The notice that comes before the loss. */
function warningKindOf({ idleSinceMs }: QueueAlert): 'queue-warning' | 'queue-idle' {
  return idleSinceMs === undefined ? 'queue-warning' : 'queue-idle';
}

function noticeId({ queue, episode }: QueueAlert, kind: NoticeKind): string {
  return createHash('sha256')
    .update(JSON.stringify([queue, episode, kind]))
    .digest('base64url');
}
