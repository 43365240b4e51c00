import type { AgentContext } from '../context.ts';
import { formatInstant } from '../contract/fields.ts';
import type { ExemptQueues } from '../namespaces/deletion/exempt-queues.ts';
import { GATHER_MS } from '../notices/decide-notice.ts';
import type { NamespaceRecord } from '../store/namespace-record.ts';
import type { QueueAlert, QueueAlertStore } from '../store/queue-alert-records.ts';
import type { ConfirmRecovery } from './confirm-recovery.ts';
import { type AlertAction, type Depth, nextAlert, type ObservedQueue, withHigherPeak } from './decide-alert.ts';
import { byteLimitsOf, bytesOf } from './event-bytes.ts';
import type { QueueDeletion } from './queue-deletion.ts';
import { limitsOfQueue, type QueueLimitsConfig } from './queue-limits.ts';
import type { QueueNotices } from './queue-notices.ts';

interface ApplyAlertActionParts extends Pick<AgentContext, 'cluster' | 'clock' | 'randomBytes' | 'jobs'> {
  readonly store: { readonly queueAlerts: QueueAlertStore };
  readonly notices: QueueNotices;
  readonly deletion: QueueDeletion;
  readonly confirmRecovery: ConfirmRecovery;
  readonly exempt: ExemptQueues;
  readonly config: QueueLimitsConfig;
  readonly reporters: Pick<AgentContext['reporters'], 'queueWarned' | 'queueRecovered' | 'queueLeft' | 'queueIdle'>;
}

/**
 * Does what was decided about a queue. Every write is a compare-and-set: of two agents one continues.
 *
 * @param record undefined when the queue is no longer watched
 * @throws AgentError `BrokerUnavailable`, `StoreUnavailable`; the signal's reason
 */
export type ApplyAlertAction = (
  action: AlertAction,
  observed: ObservedQueue,
  record: NamespaceRecord | undefined,
  signal: AbortSignal,
) => Promise<void>;

/** A queue above both thresholds is inspected this long after the alert, in ms: sending the warning takes a moment. */
const INSPECT_AFTER_WARNING_MS = GATHER_MS + 1_500;

/** How long to wait for the first attempt to send the warning, in ms. */
const INSPECT_WHILE_WAITING_MS = 2_000;

/** Each action is a list of steps. An agent that resumes it repeats the last step that was not written. */
export function createApplyAlertAction(parts: ApplyAlertActionParts): ApplyAlertAction {
  const { notices, deletion, confirmRecovery, exempt, cluster, clock, randomBytes, jobs, reporters } = parts;
  const { queueAlerts } = parts.store;

  const inspectLater = (queue: string, afterMs: number): void => jobs.trigger('inspect-queue', queue, afterMs);

  /** Writes the next revision; undefined where another agent was faster. */
  const replaceAlert = async (
    alert: QueueAlert,
    level: QueueAlert['level'],
    { messages = alert.messages, bytes, seenMs }: Pick<Depth, 'messages' | 'bytes' | 'seenMs'> = {
      messages: alert.messages,
      seenMs: alert.seenMs,
    },
  ): Promise<QueueAlert | undefined> => {
    const size = messages === 0 ? 0 : (bytes?.bytes ?? alert.bytes);
    const replaced = nextAlert(alert, { level, messages, bytes: size, seenMs }, clock.nowMs());
    return (await queueAlerts.replace(replaced, alert.revision)) ? replaced : undefined;
  };

  /** Where another agent writes the alert at the same time, the next survey does it. */
  const raisePeak = async (alert: QueueAlert, depth: Depth): Promise<void> => {
    const higher = withHigherPeak(alert, depth);
    if (higher !== undefined) await queueAlerts.replace(higher, alert.revision);
  };

  const warn = async (
    record: NamespaceRecord,
    queue: string,
    { messages = 0, bytes, seenMs }: Depth,
  ): Promise<void> => {
    const { namespace, incarnation } = record;
    const alert: QueueAlert = {
      queue,
      revision: 1,
      namespace,
      incarnation,
      episode: randomBytes(12).toString('base64url'),
      level: 'warning',
      messages,
      bytes: bytes?.bytes ?? null,
      seenMs,
      changedMs: clock.nowMs(),
    };
    if (await queueAlerts.insert(alert)) await finishWarning(record, alert);
  };
  /** In place of an alert about its size, if there is one: that notice was sent, and nothing follows from it now. */
  const warnIdle = async (
    record: NamespaceRecord,
    { queue, depth: { messages = 0, bytes, seenMs, idleSinceMs = seenMs }, alert: former }: ObservedQueue,
  ): Promise<void> => {
    const { namespace, incarnation } = record;
    const alert: QueueAlert = {
      queue,
      revision: (former?.revision ?? 0) + 1,
      namespace,
      incarnation,
      episode: randomBytes(12).toString('base64url'),
      level: 'warning',
      messages,
      bytes: bytes?.bytes ?? null,
      seenMs,
      idleSinceMs,
      changedMs: clock.nowMs(),
    };
    if (former !== undefined) await notices.withdraw(former, clock.nowMs());
    const isWritten = await (former === undefined
      ? queueAlerts.insert(alert)
      : queueAlerts.replace(alert, former.revision));
    if (isWritten) await finishIdleWarning(record, alert, idleSinceMs);
  };
  const finishIdleWarning = async (record: NamespaceRecord, alert: QueueAlert, idleSinceMs: number): Promise<void> => {
    const { namespace, queue, messages, changedMs } = alert;
    const { idleExpiryMs } = limitsOfQueue(parts.config, queue, record);
    await notices.addWarning(record, alert);
    const expires = formatInstant(changedMs + (idleExpiryMs ?? 0));
    await reporters.queueIdle({ namespace, queue, messages, idleSince: formatInstant(idleSinceMs), expires });
    await replaceAlert(alert, 'warned');
  };
  const finishWarning = async (record: NamespaceRecord, alert: QueueAlert): Promise<void> => {
    if (alert.idleSinceMs !== undefined) return await finishIdleWarning(record, alert, alert.idleSinceMs);
    const { namespace, queue, messages, bytes } = alert;
    const limits = limitsOfQueue(parts.config, queue, record);
    const { warnAtMessages, deleteAtMessages, deleteAtBytes, onOvergrown } = limits;
    await notices.addWarning(record, alert);
    await reporters.queueWarned({
      namespace,
      queue,
      messages,
      warnAtMessages,
      deleteAtMessages,
      ...bytesOf(alert),
      ...byteLimitsOf(limits),
      ...(onOvergrown === 'delete' ? {} : { onOvergrown }),
    });
    await replaceAlert(alert, 'warned');
    const isTooLarge = bytes !== null && deleteAtBytes !== null && bytes >= deleteAtBytes;
    if (messages >= deleteAtMessages || isTooLarge) inspectLater(queue, INSPECT_AFTER_WARNING_MS);
  };

  const recoverIfConfirmed = async (
    record: NamespaceRecord,
    alert: QueueAlert,
    depth: Depth,
    signal: AbortSignal,
  ): Promise<void> => {
    const confirmed = await confirmRecovery(
      alert.queue,
      depth,
      limitsOfQueue(parts.config, alert.queue, record),
      signal,
    );
    if (confirmed === undefined) return;
    const recovering = await replaceAlert(alert, 'recovering', confirmed);
    if (recovering !== undefined) await finishRecovery(record, recovering);
  };
  const finishRecovery = async (record: NamespaceRecord, alert: QueueAlert): Promise<void> => {
    const { namespace, queue, messages } = alert;
    await notices.withdraw(alert, clock.nowMs());
    await notices.addRecovery(record, alert);
    await reporters.queueRecovered({ namespace, queue, messages, ...bytesOf(alert) });
    await queueAlerts.remove(queue, alert.revision);
  };

  const leave = async (record: NamespaceRecord, alert: QueueAlert, depth: Depth): Promise<void> => {
    const leaving = await replaceAlert(alert, 'leaving', depth);
    if (leaving !== undefined) await finishLeaving(record, leaving);
  };
  const finishLeaving = async (record: NamespaceRecord, alert: QueueAlert): Promise<void> => {
    const { namespace, queue, messages } = alert;
    const { deleteAtMessages, deleteAtBytes } = limitsOfQueue(parts.config, queue, record);
    const byteLimit = deleteAtBytes === null ? {} : { deleteAtBytes };
    await notices.addLeft(record, alert);
    await reporters.queueLeft({ namespace, queue, messages, deleteAtMessages, ...bytesOf(alert), ...byteLimit });
    await replaceAlert(alert, 'left');
  };

  const deleteOnceWarned = async (
    record: NamespaceRecord,
    alert: QueueAlert,
    depth: Depth,
    signal: AbortSignal,
  ): Promise<void> => {
    if (record.state !== 'active') return;
    // The alert stays `warned`: the survey after the end of the exemption deletes the queue.
    if ((await exempt.read()).has(alert.queue)) return await raisePeak(alert, depth);
    const { messages = alert.messages, bytes, seenMs } = depth;
    // A warning that is stored only now, because the contact is new, states the depth of now.
    switch (await notices.ensureWarning(record, { ...alert, messages, bytes: bytes?.bytes ?? alert.bytes, seenMs })) {
      case 'waiting':
        inspectLater(alert.queue, INSPECT_WHILE_WAITING_MS);
        return;
      case 'never-sent':
        // The inspection raises a new alert.
        await deletion.discard(alert);
        inspectLater(alert.queue, INSPECT_WHILE_WAITING_MS);
        return;
      case 'done': {
        const over = await replaceAlert(alert, 'over', depth);
        if (over !== undefined) await executeDeletion(record, over, signal);
      }
    }
  };

  /** While RabbitMQ is split the queue stays, and what is known of its depth is that of one side. */
  const executeDeletion = async (record: NamespaceRecord, alert: QueueAlert, signal: AbortSignal): Promise<void> => {
    if (await cluster.isOpen(signal)) await deletion.execute(record, alert, signal);
  };

  /** Takes over from an agent that is presumed dead; of several agents one continues. */
  const resume = async (record: NamespaceRecord | undefined, alert: QueueAlert, signal: AbortSignal): Promise<void> => {
    const taken = await replaceAlert(alert, alert.level);
    if (taken === undefined) return;
    // Only the deletion of a queue is resumed after its namespace was deleted.
    if (record?.incarnation !== taken.incarnation) return await deletion.finish(taken, record);
    switch (taken.level) {
      case 'warning':
        return await finishWarning(record, taken);
      case 'recovering':
        return await finishRecovery(record, taken);
      case 'over':
      case 'deleting':
      case 'purging':
        return await executeDeletion(record, taken, signal);
      case 'deleted':
      case 'purged':
        return await deletion.finish(taken, record);
      case 'leaving':
        return await finishLeaving(record, taken);
      case 'warned':
      case 'left':
    }
  };

  return async (action, observed, record, signal) => {
    const { queue, depth, alert } = observed;
    if (alert === undefined) {
      if (action === 'warn' && record !== undefined) await warn(record, queue, depth);
      if (action === 'warn-idle' && record !== undefined) await warnIdle(record, observed);
      return;
    }
    switch (action) {
      case 'warn-idle':
        if (record !== undefined) await warnIdle(record, observed);
        return;
      case 'discard':
        return await deletion.discard(alert);
      case 'resume':
        return await resume(record, alert, signal);
      case 'recover':
        if (record !== undefined) await recoverIfConfirmed(record, alert, depth, signal);
        return;
      case 'leave':
        if (record !== undefined) await leave(record, alert, depth);
        return;
      case 'delete':
      case 'expire':
      case 'purge':
        if (record !== undefined) await deleteOnceWarned(record, alert, depth, signal);
        return;
      case 'none':
        if (record?.incarnation === alert.incarnation) await raisePeak(alert, depth);
        return;
      case 'warn':
    }
  };
}
