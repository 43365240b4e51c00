import type { QueueAlert } from '../store/queue-alert-records.ts';

/** How deep a queue was at a look. */
export interface Depth {
  /** Undefined when nobody knows: a stream, or a queue whose node is down. That is not 0. Also when it is gone. */
  readonly messages: number | undefined;
  /** Whether there is no such queue any more. */
  readonly isGone?: boolean;
  /** Whether these are all messages; otherwise there are at least so many. */
  readonly isWhole: boolean;
  /** When the look began, in ms since the epoch. */
  readonly seenMs: number;
}

/** The thresholds, in messages. */
export interface AlertLimits {
  readonly warnAtMessages: number;
  /** More than `warnAtMessages`. */
  readonly deleteAtMessages: number;
}

/**
 * What a look asks for.
 * - `warn`: raise an alert.
 * - `recover`: it is small again.
 * - `condemn`: delete it, if its owner was warned.
 * - `carry-on`: whoever changed the alert last has not finished.
 * - `forget`: the alert is about a queue that is gone, or of an earlier incarnation of the namespace.
 */
export type AlertAction = 'none' | 'warn' | 'recover' | 'condemn' | 'carry-on' | 'forget';

/** A queue is deleted at most so long after it was last seen to be too deep, by a call that may take as long. In ms. */
export const DELETE_WINDOW_MS = 4_000;

/**
 * For how long an agent is left to finish what it began with an alert, in ms; then it is taken for dead. A delete that it
 * has sent cannot arrive any more by then.
 */
export const FINISH_MS = 10_000;

/** By how much a listing may lag: up to 2.5 s were measured with quorum queues. In ms. */
export const LISTING_LAG_MS = 3_000;

/** The clocks of two agents differ by less, in ms: what lies further ahead was written before a clock was set back. */
const CLOCK_DIFFERENCE_MS = 60_000;

/**
 * Decides what a look at a queue asks for. One step at a look: a queue that is far too deep when it is first seen is
 * warned of first. Between a warning and the next one lies a depth below half of the threshold, so that a queue that
 * stays near it is warned of once.
 *
 * @param incarnation that of the namespace now; undefined when nobody watches the queue any more
 */
export function decideQueueAlert(
  alert: QueueAlert | undefined,
  incarnation: string | undefined,
  { messages, isWhole, isGone = false, seenMs }: Depth,
  { warnAtMessages, deleteAtMessages }: AlertLimits,
  nowMs: number,
): AlertAction {
  if (alert === undefined) return messages !== undefined && messages >= warnAtMessages ? 'warn' : 'none';
  const changedMs = alert.changedMs > nowMs + CLOCK_DIFFERENCE_MS ? -Infinity : alert.changedMs;
  const isAbandoned = nowMs >= changedMs + FINISH_MS;
  if (alert.incarnation !== incarnation) {
    if (alert.level !== 'deleting' && alert.level !== 'deleted') return 'forget';
    if (!isAbandoned) return 'none';
    // Whose queue was deleted is told so, whatever has become of the namespace since.
    return isGone || alert.level === 'deleted' ? 'carry-on' : 'forget';
  }
  if (isGone && (alert.level === 'warning' || alert.level === 'warned')) return 'forget';
  if (alert.level !== 'warned') return isAbandoned ? 'carry-on' : 'none';
  // A look from before the alert was written says nothing about it.
  if (messages === undefined || seenMs <= changedMs) return 'none';
  if (messages >= deleteAtMessages) return 'condemn';
  return isWhole && messages < warnAtMessages / 2 && seenMs > changedMs + LISTING_LAG_MS ? 'recover' : 'none';
}

/** An alert as it is to be written next. */
export function nextAlert(
  alert: QueueAlert,
  given: Pick<QueueAlert, 'level'> & Partial<Pick<QueueAlert, 'messages' | 'seenMs'>>,
  nowMs: number,
): QueueAlert {
  return { ...alert, ...given, revision: alert.revision + 1, changedMs: nowMs };
}
