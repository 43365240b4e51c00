import type { QueueDepths } from '../broker/amqp/queue-depths.ts';
import { BrokerRefusal, type Management } from '../broker/management/management.ts';
import type { Config } from '../config/config.ts';
import type { AgentContext } from '../context.ts';
import type { OvergrownAction } from '../config/queue-rules.ts';
import type { ExemptQueues } from '../namespaces/deletion/exempt-queues.ts';
import type { NamespaceRecord } from '../store/namespace-record.ts';
import type { QueueAlert, QueueAlertStore } from '../store/queue-alert-records.ts';
import type { NamespaceStore } from '../store/store.ts';
import { formatInstant } from '../contract/fields.ts';
import { AgentError, isAgentError } from '../util/agent-errors.ts';
import { type Clock, elapsedSinceMs, type Moment, momentOf } from '../util/clock.ts';
import type { ConfirmDepth } from './confirm-depth.ts';
import { DELETE_WINDOW_MS, nextAlert } from './decide-alert.ts';
import { bytesOf } from './event-bytes.ts';
import { isQueueListed } from './is-queue-listed.ts';
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
  readonly queueDepths: Pick<QueueDepths, 'read' | 'readCounts'>;
  readonly deleteFromBroker: DeleteFromBroker;
  readonly schedule: Pick<InspectionSchedule, 'wasReplacedSince'>;
  readonly exempt: ExemptQueues;
  readonly config: QueueLimitsConfig & Pick<Config, 'vhost'>;
  readonly management: Pick<Management, 'purgeQueue' | 'getOldestMessageMs' | 'listQueueNames'>;
  readonly clock: Clock;
  readonly reporters: Pick<AgentContext['reporters'], 'queueDeleted' | 'queuePurged' | 'queueExpired'>;
}

/** The deletion, and the purging, of queues that have grown too large. */
export interface QueueDeletion {
  /**
   * Deletes or purges, by its rule, the queue of an alert that is `over`, `deleting` or `purging`: holds the notice, confirms
   * the depth, deletes or purges, reports. It stops where another agent has changed the alert, and cancels where the queue is
   * no longer too deep, or is exempt, or its rule leaves it.
   *
   * @throws AgentError `BrokerUnavailable`, `StoreUnavailable`; the signal's reason. The agent that next finds the alert
   *   resumes the deletion.
   */
  execute(record: NamespaceRecord, alert: QueueAlert, signal: AbortSignal): Promise<void>;
  /** Reports a loss that has happened, and removes the alert, which is `deleting`, `deleted`, `purging` or `purged`. */
  finish(alert: QueueAlert, record: NamespaceRecord | undefined): Promise<void>;
  /** Removes an alert without a loss: its notice is withdrawn. */
  discard(alert: QueueAlert): Promise<void>;
}

/**
 * What came of the call. `was-missing`: there was no queue, and no earlier call of this deletion can have deleted it.
 * `window-closed`: the call was not sent.
 */
type CallOutcome = 'done' | 'was-missing' | 'window-closed';

/** A deletion and a purge are the same steps, but for these. */
const WAYS = {
  delete: { notice: 'queue-deletion', doing: 'deleting', done: 'deleted' },
  expire: { notice: 'queue-expiry', doing: 'deleting', done: 'deleted' },
  purge: { notice: 'queue-purge', doing: 'purging', done: 'purged' },
} as const;

type Way = (typeof WAYS)[keyof typeof WAYS];

/** Each step is written before the next one, so that another agent can resume the deletion after any of them. */
export function createQueueDeletion(parts: QueueDeletionParts): QueueDeletion {
  const { store, notices, confirmDepth, queueDepths, deleteFromBroker, schedule, exempt, clock, reporters } = parts;
  const { config, management } = parts;
  const { vhost } = config;

  const finish = async (alert: QueueAlert, record: NamespaceRecord | undefined): Promise<void> => {
    const { namespace, queue, messages, revision, oldestMs } = alert;
    const isPurge = alert.level === 'purged';
    if (alert.isReported === true) return void (await store.queueAlerts.remove(queue, revision));
    if (alert.idleSinceMs !== undefined) {
      await notices.release('queue-expiry', alert, clock.nowMs());
      const idleSince = formatInstant(alert.idleSinceMs);
      await reporters.queueExpired({ namespace, queue, messages, idleSince });
      await store.queueAlerts.remove(queue, revision);
      return;
    }
    await notices.release(isPurge ? 'queue-purge' : 'queue-deletion', alert, clock.nowMs());
    const { deleteAtMessages, deleteAtBytes } = limitsOfQueue(config, queue, record);
    const byteLimit = deleteAtBytes === null ? {} : { deleteAtBytes };
    const loss = { namespace, queue, messages, deleteAtMessages, ...bytesOf(alert), ...byteLimit };
    if (isPurge) {
      await reporters.queuePurged({ ...loss, ...(oldestMs === undefined ? {} : { oldest: formatInstant(oldestMs) }) });
      // The totals of a quorum queue lag behind: without an alert it would be warned of again. A later survey removes it.
      const reported: QueueAlert = { ...nextAlert(alert, { level: 'purged' }, clock.nowMs()), isReported: true };
      await store.queueAlerts.replace(reported, revision);
      return;
    }
    await reporters.queueDeleted(loss);
    await store.queueAlerts.remove(queue, revision);
  };
  const discard = async (alert: QueueAlert): Promise<void> => {
    await notices.withdraw(alert, clock.nowMs());
    await store.queueAlerts.remove(alert.queue, alert.revision);
  };
  const markDone = async (alert: QueueAlert, { done }: Way, record: NamespaceRecord | undefined): Promise<void> => {
    const marked = nextAlert(alert, { level: done }, clock.nowMs());
    if (await store.queueAlerts.replace(marked, alert.revision)) await finish(marked, record);
  };
  /** The next revision with what was confirmed; undefined where another agent was faster. */
  const replace = async (
    alert: QueueAlert,
    level: Way['doing'] | 'warned',
    messages: number,
    bytes: number | undefined,
    seenMs: number,
    oldestMs?: number,
  ): Promise<QueueAlert | undefined> => {
    const seen = { messages, bytes: bytes ?? alert.bytes, seenMs, ...(oldestMs === undefined ? {} : { oldestMs }) };
    const replaced = nextAlert(alert, { level, ...seen }, clock.nowMs());
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
    doing: QueueAlert,
    enoughReady: number,
    signal: AbortSignal,
  ): Promise<'cancelled' | 'deep'> => {
    const { queue } = doing;
    const seenMs = clock.nowMs();
    const ready = (await queueDepths.read([queue], signal)).get(queue) ?? 0;
    if (ready >= enoughReady) return 'deep';
    await cancel(doing, ready, undefined, seenMs);
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

  const send = async (
    { namespace, queue }: QueueAlert,
    way: Way,
    seenAt: Moment,
    signal: AbortSignal,
  ): Promise<CallOutcome> => {
    let sends = 0;
    const beforeSend = (): void => {
      assertWindowOpen(queue, seenAt);
      sends += 1;
    };
    try {
      const options = { signal, timeoutMs: DELETE_WINDOW_MS, beforeSend };
      const isDone =
        way.done === 'purged'
          ? await management.purgeQueue(vhost, queue, options)
          : await deleteFromBroker(namespace, queue, options);
      return isDone || sends > 1 ? 'done' : 'was-missing';
    } catch (error) {
      if (isAgentError(error, 'WindowClosed')) return 'window-closed';
      throw error;
    }
  };

  /** How old its messages are is a part of the report of a purge alone. */
  const readOldestMs = async (queue: string, signal: AbortSignal): Promise<number | undefined> => {
    try {
      return await management.getOldestMessageMs(vhost, queue, { signal });
    } catch {
      signal.throwIfAborted();
      return undefined;
    }
  };

  /** Whether a queue is unused, by a passive declaration, which is current. */
  const readUse = async (
    { queue, messages }: QueueAlert,
    signal: AbortSignal,
  ): Promise<{ readonly is: 'idle'; readonly seenAt: Moment } | { readonly is: 'used' | 'missing' | 'unknown' }> => {
    const seenAt = momentOf(clock);
    const counts = (await queueDepths.readCounts([queue], signal)).get(queue);
    if (counts !== undefined) {
      return counts.consumers === 0 && counts.messages === messages ? { is: 'idle', seenAt } : { is: 'used' };
    }
    // An exclusive queue is its connection's alone, and that is open.
    return { is: (await isQueueListed(management, vhost, queue, { signal })) ? 'unknown' : 'missing' };
  };

  const expire = async (record: NamespaceRecord, alert: QueueAlert, signal: AbortSignal): Promise<void> => {
    const way = WAYS.expire;
    await notices.hold(way.notice, record, alert);
    const mayBeDone = alert.level === way.doing;
    const use = await readUse(alert, signal);
    if (use.is === 'missing' && mayBeDone) return await markDone(alert, way, record);
    if (use.is === 'unknown') return;
    if (use.is !== 'idle' || !(await isNamespaceActive(alert))) return await discard(alert);
    const doing = await replace(alert, way.doing, alert.messages, undefined, use.seenAt.wallMs);
    if (doing === undefined) return;
    // Once more, now that no other agent may delete it: only another agent may have got the event that it was replaced.
    const now = await readUse(doing, signal);
    if (now.is !== 'idle') return await discard(doing);
    if ((await exempt.read()).has(alert.queue)) return await cancel(doing, doing.messages, undefined, doing.seenMs);
    const outcome = await send(doing, way, now.seenAt, signal);
    if (outcome === 'window-closed') return;
    if (outcome === 'was-missing' && !mayBeDone) return await discard(doing);
    await markDone(doing, way, record);
  };

  return {
    async finish(alert, record) {
      if (alert.level === 'deleting') await markDone(alert, WAYS.delete, record);
      else if (alert.level === 'purging') await markDone(alert, WAYS.purge, record);
      else await finish(alert, record);
    },
    discard,
    async execute(record, alert, signal) {
      const limits = limitsOfQueue(config, alert.queue, record);
      if (alert.idleSinceMs !== undefined) return await expire(record, alert, signal);
      const action = wayOf(alert, limits.onOvergrown);
      if (action === 'leave') return await cancel(alert, alert.messages, undefined, alert.seenMs);
      const way = WAYS[action];
      await notices.hold(way.notice, record, alert);
      const confirmed = await confirmDepth(alert, { ...limits, onOvergrown: action }, signal);
      // An agent that died at this level may have sent the call.
      const mayBeDone = alert.level === way.doing;
      if (confirmed.is === 'missing' && mayBeDone) return await markDone(alert, way, record);
      if (!(await isNamespaceActive(alert)) || confirmed.is === 'missing') return await discard(alert);
      if (confirmed.is === 'unknown') return;

      const { messages, bytes, enoughReady, seenAt } = confirmed;
      // Consumers keep what they hold, and an exclusive queue is its connection's alone.
      const isTooDeep = confirmed.isTooDeep && (action === 'delete' || enoughReady !== undefined);
      // A queue that may have been purged is reported as such: a loss must not stay untold.
      if (!isTooDeep && mayBeDone && action === 'purge') return await markDone(alert, way, record);
      if (!isTooDeep) return await cancel(alert, messages, bytes, seenAt.wallMs);
      const oldestMs = action === 'purge' ? await readOldestMs(alert.queue, signal) : undefined;
      const doing = await replace(alert, way.doing, messages, bytes, seenAt.wallMs, oldestMs);
      if (doing === undefined) return;
      if (enoughReady !== undefined && (await cancelUnlessStillDeep(doing, enoughReady, signal)) === 'cancelled') {
        return;
      }

      // Last of all, and after `deleting` is stored: either an operator's exemption is seen here, or its command sees `deleting`.
      if ((await exempt.read()).has(alert.queue)) return await cancel(doing, messages, bytes, seenAt.wallMs);

      try {
        const outcome = await send(doing, way, seenAt, signal);
        if (outcome === 'window-closed') return;
        if (outcome === 'done' || mayBeDone) return await markDone(doing, way, record);
      } catch (error) {
        // RabbitMQ has purged nothing. A refused deletion stays `deleting`: the next agent finds the queue as it is.
        if (action === 'purge' && error instanceof BrokerRefusal) await cancel(doing, messages, bytes, seenAt.wallMs);
        throw error;
      }
      // A queue whose node is down is not found by its name, and was not purged.
      if (action === 'purge' && (await isQueueListed(management, vhost, alert.queue, { signal }))) {
        return await cancel(doing, messages, bytes, seenAt.wallMs);
      }
      // The owner of the namespace deleted the queue.
      await discard(doing);
    },
  };
}

/** What was begun is finished, whatever the rule says by now. */
function wayOf({ level }: QueueAlert, onOvergrown: OvergrownAction): OvergrownAction {
  if (level === 'deleting') return 'delete';
  return level === 'purging' ? 'purge' : onOvergrown;
}
