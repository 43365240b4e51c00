import type { OvergrownAction, QueueThresholds } from '../config/queue-rules.ts';
import type { QueueAlert } from '../store/queue-alert-records.ts';

/** The size of a queue. It was counted at another time than its messages. */
export interface ObservedBytes {
  /** The size of all messages. */
  readonly bytes: number;
  /** When the count was requested, in ms since the epoch. */
  readonly seenMs: number;
  /** The count was true at most this long before, in ms. */
  readonly lagMs: number;
}

/** The depth of a queue, as one survey or inspection observed it. */
export interface Depth {
  /** Undefined where the depth is unknown, which is not 0: a stream, a queue whose node is down, or no queue at all. */
  readonly messages: number | undefined;
  /** Undefined where the size is unknown, which is not 0. */
  readonly bytes?: ObservedBytes | undefined;
  /** Whether the queue does not exist. */
  readonly isMissing?: boolean;
  /** Whether these are all messages; otherwise it holds at least this many. */
  readonly isExact: boolean;
  /** Since when no consumer was seen and the messages are the same, in ms since the epoch; undefined: in use, or unknown. */
  readonly idleSinceMs?: number | undefined;
  /** Whether a consumer was seen; not where that is unknown. */
  readonly hasConsumers?: boolean;
  /** When the observation began, in ms since the epoch. */
  readonly seenMs: number;
  /** It was true at most this long before, in ms: 0 where RabbitMQ counted the messages for it. */
  readonly lagMs: number;
}

/** A queue as a survey or an inspection observed it. */
export interface ObservedQueue {
  readonly queue: string;
  readonly depth: Depth;
  readonly alert: QueueAlert | undefined;
}

/**
 * What a depth asks for.
 * - `warn`: raise an alert.
 * - `recover`: end the alert, if an inspection confirms that the queue has recovered.
 * - `delete`, `purge`: delete or purge the queue, if its owner was warned and an inspection confirms its depth.
 * - `leave`: report that the queue has passed the threshold for deletion and stays.
 * - `warn-idle`: raise an alert about an unused queue, in place of one about its size.
 * - `expire`: delete an unused queue, if its owner was notified and an inspection confirms that.
 * - `resume`: finish what an agent began with the alert before it died.
 * - `discard`: remove the alert of a queue that does not exist, or of an earlier incarnation of the namespace.
 */
export type AlertAction = 'none' | 'warn' | 'recover' | OvergrownAction | 'warn-idle' | 'expire' | 'resume' | 'discard';

/**
 * A delete call is sent no later than this after the depth was confirmed, and takes no longer than this, in ms.
 */
export const DELETE_WINDOW_MS = 4_000;

/**
 * An agent has this long to finish what it began with an alert, in ms; then another agent takes over. A delete call that
 * it sent can no longer arrive by then.
 */
export const TAKEOVER_AFTER_MS = 10_000;

/** The thresholds of a queue, and what is done at the one for deletion. */
export type AlertLimits = QueueThresholds & {
  readonly onOvergrown: OvergrownAction;
  /** After how long an idle queue is warned of, and after as long again deleted, in ms; null: never. */
  readonly idleExpiryMs: number | null;
};

/** The levels at which the broker may have been asked to delete or purge a queue. */
const ENDING_LEVELS: ReadonlySet<QueueAlert['level']> = new Set(['deleting', 'deleted', 'purging', 'purged']);

/** How far a listing may lag behind, in ms. A quorum queue publishes its totals every 5 s; those of others are current. */
export const LISTING_LAG_MS = 6_000;

/** The clocks of two agents differ by less, in ms. An alert further in the future was written before a clock was set back. */
const MAX_CLOCK_DIFFERENCE_MS = 60_000;

/** Whether a queue has passed the threshold for warnings. */
export function reachesWarning(
  messages: number | undefined,
  bytes: number | undefined,
  limits: Pick<QueueThresholds, 'warnAtMessages' | 'warnAtBytes'>,
): boolean {
  return isAtLeast(messages, limits.warnAtMessages) || isAtLeast(bytes, limits.warnAtBytes);
}

function isAtLeast(amount: number | undefined, threshold: number | null): boolean {
  return amount !== undefined && threshold !== null && amount >= threshold;
}

/**
 * Decides what the depth of a queue asks for, one step at a time: a queue that is first seen above both thresholds is
 * warned of first. Between two warnings the depth falls below half of the threshold, in messages and in bytes, so a queue
 * that stays near the threshold causes one warning.
 *
 * @param incarnation that of the namespace now; undefined when the queue is no longer watched
 */
export function decideQueueAlert(
  alert: QueueAlert | undefined,
  incarnation: string | undefined,
  depth: Depth,
  limits: AlertLimits,
  nowMs: number,
): AlertAction {
  const { messages, bytes, isExact, isMissing = false } = depth;
  const otherwise = isIdleDue(depth, limits, nowMs) ? 'warn-idle' : 'none';
  if (alert === undefined) return reachesWarning(messages, bytes?.bytes, limits) ? 'warn' : otherwise;
  const changedMs = alert.changedMs > nowMs + MAX_CLOCK_DIFFERENCE_MS ? -Infinity : alert.changedMs;
  const isAbandoned = nowMs >= changedMs + TAKEOVER_AFTER_MS;
  if (alert.incarnation !== incarnation) {
    if (!ENDING_LEVELS.has(alert.level)) return 'discard';
    if (!isAbandoned) return 'none';
    // The owner of a deleted or purged queue is notified even if the namespace has been deleted since.
    return isMissing || alert.level === 'deleted' || alert.level === 'purged' ? 'resume' : 'discard';
  }
  if (isMissing && !ENDING_LEVELS.has(alert.level) && alert.level !== 'over' && alert.level !== 'recovering') {
    return 'discard';
  }
  if (alert.level !== 'warned' && alert.level !== 'left') return isAbandoned ? 'resume' : 'none';
  if (alert.idleSinceMs !== undefined) return decideIdleAlert(alert, depth, limits, nowMs);
  const atDeletion = alert.level === 'left' && limits.onOvergrown === 'leave' ? 'none' : limits.onOvergrown;
  // What may have been true only before the alert was written says nothing about it.
  const isNewer = (observed: Pick<Depth, 'seenMs' | 'lagMs'>): boolean => observed.seenMs - observed.lagMs > changedMs;
  if (bytes !== undefined && isNewer(bytes) && isAtLeast(bytes.bytes, limits.deleteAtBytes)) return atDeletion;
  if (messages === undefined || !isNewer(depth)) return otherwise;
  if (messages >= limits.deleteAtMessages) return atDeletion;
  if (!isExact || !isSmall(messages, limits)) return otherwise;
  // Where the size is not known after the alert, what was known with the alert counts.
  const knownBytes = bytes !== undefined && isNewer(bytes) ? bytes.bytes : alert.bytes;
  return messages === 0 || areBytesFew(knownBytes, limits) ? 'recover' : otherwise;
}

/** Whether a queue is idle for so long that its owner is notified. */
export function isIdleDue(
  { idleSinceMs }: Pick<Depth, 'idleSinceMs'>,
  { idleExpiryMs }: Pick<AlertLimits, 'idleExpiryMs'>,
  nowMs: number,
): boolean {
  return idleExpiryMs !== null && idleSinceMs !== undefined && nowMs - idleSinceMs >= idleExpiryMs;
}

/** A queue that is used again, or whose rule no longer lets it expire, stays. */
function decideIdleAlert(
  alert: QueueAlert,
  { messages, isExact, hasConsumers = false, idleSinceMs }: Depth,
  { idleExpiryMs }: AlertLimits,
  nowMs: number,
): AlertAction {
  if (idleExpiryMs === null || hasConsumers) return 'discard';
  if (isExact && messages !== undefined && messages !== alert.messages) return 'discard';
  return idleSinceMs !== undefined && nowMs - alert.changedMs >= idleExpiryMs ? 'expire' : 'none';
}

/** Whether a queue with this number of messages has recovered. */
export function isSmall(messages: number, { warnAtMessages }: Pick<QueueThresholds, 'warnAtMessages'>): boolean {
  return messages < warnAtMessages / 2;
}

function areBytesFew(bytes: number | null, { warnAtBytes }: QueueThresholds): boolean {
  return warnAtBytes === null || bytes === null || bytes < warnAtBytes / 2;
}

/** The next revision of an alert. */
export function nextAlert(
  alert: QueueAlert,
  changes: Pick<QueueAlert, 'level'> & Partial<Pick<QueueAlert, 'messages' | 'bytes' | 'seenMs' | 'oldestMs'>>,
  nowMs: number,
): QueueAlert {
  return { ...alert, ...changes, ...peakWith(alert, changes), revision: alert.revision + 1, changedMs: nowMs };
}

/** A peak is written when the queue has grown by so much since. */
const PEAK_STEP = 1.1;

/**
 * The next revision of an alert whose queue was seen deeper than ever since the warning; undefined where it was not, or not by
 * much. `changedMs` stays: nothing was decided.
 */
export function withHigherPeak(alert: QueueAlert, { messages, bytes, seenMs, lagMs }: Depth): QueueAlert | undefined {
  if ((alert.level !== 'warned' && alert.level !== 'left') || seenMs - lagMs <= alert.changedMs) return undefined;
  const isHigher =
    (messages ?? 0) >= peakMessagesOf(alert) * PEAK_STEP ||
    (bytes?.bytes ?? 0) >= (peakBytesOf(alert) ?? 1) * PEAK_STEP;
  if (!isHigher) return undefined;
  return { ...alert, ...peakWith(alert, { messages, bytes: bytes?.bytes }), revision: alert.revision + 1 };
}

function peakWith(
  alert: QueueAlert,
  seen: { readonly messages?: number | undefined; readonly bytes?: number | null | undefined },
): Pick<QueueAlert, 'peakMessages' | 'peakBytes'> {
  const sizes = [peakBytesOf(alert), seen.bytes].filter((bytes) => typeof bytes === 'number');
  return {
    peakMessages: Math.max(peakMessagesOf(alert), seen.messages ?? 0),
    ...(sizes.length === 0 ? {} : { peakBytes: Math.max(...sizes) }),
  };
}

function peakMessagesOf({ peakMessages, messages }: QueueAlert): number {
  return peakMessages ?? messages;
}

function peakBytesOf({ peakBytes, bytes }: QueueAlert): number | undefined {
  return peakBytes ?? bytes ?? undefined;
}
