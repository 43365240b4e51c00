import type { QueueDepths } from '../broker/amqp/queue-depths.ts';
import type { AgentContext } from '../context.ts';
import type { ExemptQueues } from '../namespaces/deletion/exempt-queues.ts';
import type { NamespaceRecord } from '../store/namespace-record.ts';
import type { QueueAlert, QueueAlertStore } from '../store/queue-alert-records.ts';
import type { NamespaceStore } from '../store/store.ts';
import { AgentError, isAgentError } from '../util/agent-errors.ts';
import { type Clock, elapsedSinceMs, type Moment } from '../util/clock.ts';
import type { ConfirmDepth } from './confirm-depth.ts';
import { DELETE_WINDOW_MS, nextAlert } from './decide-alert.ts';
import { bytesOf } from './event-bytes.ts';
import type { DeleteFromBroker } from './delete-from-broker.ts';
import type { InspectionSchedule } from './inspection-schedule.ts';
import { limitsOfQueue, type QueueLimitsConfig } from './queue-limits.ts';
import type { QueueNotices } from './queue-notices.ts';

/** What {@link createQueueDeletion} takes. */
export interface QueueDeletionParts {
  readonly store: {
    readonly namespaces: Pick<NamespaceStore, 'get'>;
    readonly queueAlerts: Pick<QueueAlertStore, 'replace' | 'remove'>;
  };
  readonly notices: QueueNotices;
  readonly confirmDepth: ConfirmDepth;
  readonly queueDepths: Pick<QueueDepths, 'read'>;
  readonly deleteFromBroker: DeleteFromBroker;
  readonly schedule: Pick<InspectionSchedule, 'wasReplacedSince'>;
  readonly exempt: ExemptQueues;
  readonly config: QueueLimitsConfig;
  readonly clock: Clock;
  readonly reporters: Pick<AgentContext['reporters'], 'queueDeleted'>;
}

/** The deletion of queues that have grown too large. */
export interface QueueDeletion {
  /**
   * Deletes the queue of an alert that is `over` or `deleting`: holds the notice, confirms the depth, deletes, reports. It
   * stops where another agent has changed the alert, and cancels where the queue is no longer too deep, or is exempt.
   *
   * @throws AgentError `BrokerUnavailable`, `StoreUnavailable`; the signal's reason. The agent that next finds the alert
   *   resumes the deletion.
   */
  execute(record: NamespaceRecord, alert: QueueAlert, signal: AbortSignal): Promise<void>;
  /** Reports a deletion that has happened, and removes the alert, which is `deleting` or `deleted`. */
  finish(alert: QueueAlert): Promise<void>;
  /** Removes an alert without a deletion: its notice is withdrawn. */
  discard(alert: QueueAlert): Promise<void>;
}

/**
 * What came of the delete call. `was-missing`: there was no queue, and no earlier call of this deletion can have deleted
 * it. `window-closed`: the call was not sent.
 */
type DeleteOutcome = 'deleted' | 'was-missing' | 'window-closed';

/** Each step is written before the next one, so that another agent can resume the deletion after any of them. */
export function createQueueDeletion(parts: QueueDeletionParts): QueueDeletion {
  const { store, notices, confirmDepth, queueDepths, deleteFromBroker, schedule, exempt, clock, reporters } = parts;

  const finish = async (alert: QueueAlert): Promise<void> => {
    const { namespace, queue, messages, revision } = alert;
    await notices.releaseDeletion(alert, clock.nowMs());
    const { deleteAtMessages, deleteAtBytes } = limitsOfQueue(parts.config, queue);
    const byteLimit = deleteAtBytes === null ? {} : { deleteAtBytes };
    await reporters.queueDeleted({ namespace, queue, messages, deleteAtMessages, ...bytesOf(alert), ...byteLimit });
    await store.queueAlerts.remove(queue, revision);
  };
  const discard = async (alert: QueueAlert): Promise<void> => {
    await notices.withdrawDeletion(alert, clock.nowMs());
    await store.queueAlerts.remove(alert.queue, alert.revision);
  };
  const markDeleted = async (alert: QueueAlert): Promise<void> => {
    const deleted = nextAlert(alert, { level: 'deleted' }, clock.nowMs());
    if (await store.queueAlerts.replace(deleted, alert.revision)) await finish(deleted);
  };
  /** The next revision with what was confirmed; undefined where another agent was faster. */
  const replace = async (
    alert: QueueAlert,
    level: 'deleting' | 'warned',
    messages: number,
    bytes: number | undefined,
    seenMs: number,
  ): Promise<QueueAlert | undefined> => {
    const replaced = nextAlert(alert, { level, messages, bytes: bytes ?? alert.bytes, seenMs }, clock.nowMs());
    return (await store.queueAlerts.replace(replaced, alert.revision)) ? replaced : undefined;
  };
  /** The notice stays held: the queue may be deleted later. It is withdrawn when the queue recovers or is missing. */
  const cancel = async (
    alert: QueueAlert,
    messages: number,
    bytes: number | undefined,
    seenMs: number,
  ): Promise<void> => {
    await replace(alert, 'warned', messages, bytes, seenMs);
  };

  const isNamespaceActive = async ({ namespace, incarnation }: QueueAlert): Promise<boolean> => {
    const record = await store.namespaces.get(namespace);
    return record?.state === 'active' && record.incarnation === incarnation;
  };

  /**
   * Reads the depth once more, now that no other agent may delete the queue: only another agent may have received the event
   * that it was replaced, and the store may have been slow.
   */
  const cancelUnlessStillDeep = async (
    deleting: QueueAlert,
    enoughReady: number,
    signal: AbortSignal,
  ): Promise<'cancelled' | 'deep'> => {
    const { queue } = deleting;
    const seenMs = clock.nowMs();
    const ready = (await queueDepths.read([queue], signal)).get(queue) ?? 0;
    if (ready >= enoughReady) return 'deep';
    await cancel(deleting, ready, undefined, seenMs);
    return 'cancelled';
  };

  /** RabbitMQ deletes by name alone, so a queue that may have been replaced or drained since `seenAt` is not deleted. */
  const assertWindowOpen = (queue: string, seenAt: Moment): void => {
    const elapsedMs = elapsedSinceMs(clock, seenAt);
    if (elapsedMs <= DELETE_WINDOW_MS && !schedule.wasReplacedSince(queue, seenAt.monotonicMs)) return;
    throw new AgentError(
      'WindowClosed',
      `The queue ${queue} may have changed since its depth was confirmed ${Math.round(elapsedMs)} ms ago.`,
    );
  };

  const sendDelete = async (
    { namespace, queue }: QueueAlert,
    seenAt: Moment,
    signal: AbortSignal,
  ): Promise<DeleteOutcome> => {
    let sends = 0;
    const beforeSend = (): void => {
      assertWindowOpen(queue, seenAt);
      sends += 1;
    };
    try {
      const options = { signal, timeoutMs: DELETE_WINDOW_MS, beforeSend };
      const isDeleted = await deleteFromBroker(namespace, queue, options);
      return isDeleted || sends > 1 ? 'deleted' : 'was-missing';
    } catch (error) {
      if (isAgentError(error, 'WindowClosed')) return 'window-closed';
      throw error;
    }
  };

  return {
    finish: (alert) => (alert.level === 'deleting' ? markDeleted(alert) : finish(alert)),
    discard,
    async execute(record, alert, signal) {
      await notices.holdDeletion(record, alert);
      const confirmed = await confirmDepth(alert, limitsOfQueue(parts.config, alert.queue), signal);
      // An agent that died at this level may have sent the delete call.
      const mayBeDeleted = alert.level === 'deleting';
      if (confirmed.is === 'missing' && mayBeDeleted) return await markDeleted(alert);
      if (!(await isNamespaceActive(alert)) || confirmed.is === 'missing') return await discard(alert);
      if (confirmed.is === 'unknown') return;

      const { messages, bytes, isTooDeep, enoughReady, seenAt } = confirmed;
      if (!isTooDeep) return await cancel(alert, messages, bytes, seenAt.wallMs);
      const deleting = await replace(alert, 'deleting', messages, bytes, seenAt.wallMs);
      if (deleting === undefined) return;
      if (enoughReady !== undefined && (await cancelUnlessStillDeep(deleting, enoughReady, signal)) === 'cancelled') {
        return;
      }

      // Last of all, and after `deleting` is stored: either an operator's exemption is seen here, or its command sees `deleting`.
      if ((await exempt.read()).has(alert.queue)) return await cancel(deleting, messages, bytes, seenAt.wallMs);

      const outcome = await sendDelete(deleting, seenAt, signal);
      if (outcome === 'window-closed') return;
      // The owner of the namespace deleted the queue.
      if (outcome === 'was-missing' && !mayBeDeleted) return await discard(deleting);
      await markDeleted(deleting);
    },
  };
}
