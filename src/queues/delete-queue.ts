import type { Reporters } from '../agent/reporters.ts';
import type { QueueDepths } from '../broker/amqp/queue-depths.ts';
import { type Clock, elapsedSinceMs, type Moment } from '../util/clock.ts';
import { AgentError, isAgentError } from '../util/agent-errors.ts';
import type { QueueAlert, QueueAlertStore } from '../store/queue-alert-records.ts';
import type { NamespaceRecord } from '../store/namespace-record.ts';
import type { NamespaceStore } from '../store/store.ts';
import { type AlertLimits, DELETE_WINDOW_MS, nextAlert } from './decide-alert.ts';
import type { ConfirmDepth } from './confirm-depth.ts';
import type { QueueNotices } from './queue-notices.ts';
import type { RemoveQueue } from './remove-queue.ts';

/** What {@link createDeleteQueue} works with. */
export interface DeleteQueueParts {
  readonly store: {
    readonly namespaces: Pick<NamespaceStore, 'get'>;
    readonly queueAlerts: Pick<QueueAlertStore, 'replace' | 'remove'>;
  };
  readonly notices: QueueNotices;
  readonly removeQueue: RemoveQueue;
  readonly lastLook: ConfirmDepth;
  readonly readyCounts: Pick<QueueDepths, 'read'>;
  readonly clock: Clock;
  readonly limits: AlertLimits;
  /** Whether no queue is known to have come or gone under this name since an instant of the monotonic clock. */
  readonly isSameSince: (queue: string, sinceMs: number) => boolean;
  readonly reporters: Pick<Reporters, 'queueDeleted'>;
}

/** The deletion of queues that have grown too large. */
export interface DeleteQueue {
  /**
   * Goes on with an alert that is `over` or `deleting`: stores the notice, looks once more, deletes. It does nothing where
   * somebody else has changed the alert meanwhile.
   *
   * @throws AgentError `BrokerUnavailable`, `StoreUnavailable`; the signal's reason. Whoever finds the alert carries on.
   */
  goOn(record: NamespaceRecord, alert: QueueAlert, signal: AbortSignal): Promise<void>;
  /** Goes on with one whose queue is deleted, `deleting` or `deleted` as it may be: tells, and forgets it. */
  finish(alert: QueueAlert): Promise<void>;
}

/** Builds it. */
export function createDeleteQueue(parts: DeleteQueueParts): DeleteQueue {
  const { store, notices, removeQueue, lastLook, readyCounts, clock, limits, reporters } = parts;

  const finish = async (alert: QueueAlert): Promise<void> => {
    await notices.releaseDeletion(alert, clock.nowMs());
    const { namespace, queue, messages } = alert;
    await reporters.queueDeleted({ namespace, queue, messages, deleteAtMessages: limits.deleteAtMessages });
    await store.queueAlerts.remove(alert.queue, alert.revision);
  };
  const forget = async (alert: QueueAlert): Promise<void> => {
    await notices.withdrawDeletion(alert, clock.nowMs());
    await store.queueAlerts.remove(alert.queue, alert.revision);
  };
  const markDeleted = async (alert: QueueAlert): Promise<void> => {
    const deleted = nextAlert(alert, { level: 'deleted' }, clock.nowMs());
    if (await store.queueAlerts.replace(deleted, alert.revision)) await finish(deleted);
  };
  /** Its notice stays held: it may be deleted later, and is withdrawn when it recovers or is gone. */
  const spare = async (alert: QueueAlert, look: Pick<QueueAlert, 'messages' | 'seenMs'>): Promise<void> => {
    const warned = nextAlert(alert, { level: 'warned', ...look }, clock.nowMs());
    await store.queueAlerts.replace(warned, alert.revision);
  };
  /** RabbitMQ deletes by name alone: what may be another queue of that name, or has changed since, is not touched. */
  const assertAsSeen = (queue: string, seenAt: Moment): void => {
    const elapsedMs = elapsedSinceMs(clock, seenAt);
    if (elapsedMs <= DELETE_WINDOW_MS && parts.isSameSince(queue, seenAt.monotonicMs)) return;
    throw new AgentError(
      'WindowClosed',
      `The queue ${queue} may have changed since it was looked at, ${Math.round(elapsedMs)} ms ago.`,
    );
  };

  return {
    finish: (alert) => (alert.level === 'deleting' ? markDeleted(alert) : finish(alert)),
    async goOn(record, alert, signal) {
      const { queue, namespace } = alert;
      await notices.holdDeletion(record, alert);
      const seen = await lastLook(queue, limits.deleteAtMessages, signal);
      // The delete call of an agent that died has worked, or the owner was faster.
      if (seen.is === 'missing' && alert.level === 'deleting') return await markDeleted(alert);
      const owner = await store.namespaces.get(namespace);
      if (owner?.state !== 'active' || owner.incarnation !== alert.incarnation) return await forget(alert);
      if (seen.is === 'missing') return await forget(alert);
      if (seen.is === 'unknown') return;
      const { messages, isReady, seenAt } = seen;
      const look = { messages, seenMs: seenAt.wallMs };
      if (messages < limits.deleteAtMessages) {
        return await spare(alert, look);
      }
      const deleting = nextAlert(alert, { level: 'deleting', ...look }, clock.nowMs());
      if (!(await store.queueAlerts.replace(deleting, alert.revision))) return;
      if (isReady) {
        // That the queue was made anew may have been told to another agent, and the store may have taken its time.
        const seenMs = clock.nowMs();
        const ready = (await readyCounts.read([queue], signal)).get(queue) ?? 0;
        if (ready < limits.deleteAtMessages) return await spare(deleting, { messages: ready, seenMs });
      }
      let sends = 0;
      const beforeSend = (): void => {
        assertAsSeen(queue, seenAt);
        sends += 1;
      };
      try {
        const isDeleted = await removeQueue(namespace, queue, {
          signal,
          timeoutMs: DELETE_WINDOW_MS,
          beforeSend,
        });
        // Its owner was faster. Where a call was sent before this one it may have been that.
        if (!isDeleted && sends === 1 && alert.level === 'over') return await forget(deleting);
      } catch (error) {
        if (isAgentError(error, 'WindowClosed')) return;
        throw error;
      }
      await markDeleted(deleting);
    },
  };
}
