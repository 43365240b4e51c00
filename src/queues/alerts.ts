import type { AgentContext } from '../context.ts';
import type { Reporters } from '../agent/reporters.ts';
import type { QueueAlert } from '../store/queue-alert-records.ts';
import type { NamespaceRecord } from '../store/namespace-record.ts';
import { type AlertAction, type AlertLimits, type Depth, nextAlert } from './decide-alert.ts';
import type { DeleteQueue } from './delete-queue.ts';
import type { QueueNotices } from './queue-notices.ts';

/** What {@link createAlerts} works with. */
export interface AlertsParts extends Pick<AgentContext, 'clock' | 'randomBytes' | 'jobs'> {
  readonly store: Pick<AgentContext['store'], 'queueAlerts'>;
  readonly notices: QueueNotices;
  readonly deletion: DeleteQueue;
  readonly limits: AlertLimits;
  readonly reporters: Pick<Reporters, 'queueWarned' | 'queueRecovered'>;
}

/** Carries out what was decided about queues. */
export interface Alerts {
  /**
   * Does what a look asks for. Every write is a compare-and-set: of two agents one goes on.
   *
   * @param look its `record` is undefined when nobody watches the queue any more
   * @param alert the one that the decision was made for
   * @throws AgentError `BrokerUnavailable`, `StoreUnavailable`; the signal's reason
   */
  carryOut(
    action: AlertAction,
    look: { readonly queue: string; readonly record: NamespaceRecord | undefined; readonly depth: Depth },
    alert: QueueAlert | undefined,
    signal: AbortSignal,
  ): Promise<void>;
}

/** A queue that is far too deep is looked at again so soon after the warning, in ms: the mail takes a moment. */
const WARNED_MS = 1_500;

/** While the warning waits to be tried, in ms. */
const WAITING_MS = 2_000;

/** Builds it. */
export function createAlerts(parts: AlertsParts): Alerts {
  const { notices, deletion, clock, randomBytes, limits, jobs, reporters } = parts;
  const store = parts.store.queueAlerts;
  const lookAgain = (queue: string, afterMs: number): void => jobs.trigger('inspect-queue', queue, afterMs);

  const forget = async (alert: QueueAlert): Promise<void> => {
    await notices.withdrawDeletion(alert, clock.nowMs());
    await store.remove(alert.queue, alert.revision);
  };
  const finishWarning = async (record: NamespaceRecord, alert: QueueAlert): Promise<void> => {
    await notices.addWarning(record, alert);
    const { namespace, queue, messages } = alert;
    await reporters.queueWarned({ namespace, queue, messages, ...limits });
    await store.replace(nextAlert(alert, { level: 'warned' }, clock.nowMs()), alert.revision);
    if (alert.messages >= limits.deleteAtMessages) lookAgain(alert.queue, WARNED_MS);
  };
  const finishRecovery = async (record: NamespaceRecord, alert: QueueAlert): Promise<void> => {
    await notices.withdrawDeletion(alert, clock.nowMs());
    await notices.addRecovery(record, alert);
    const { namespace, queue, messages } = alert;
    await reporters.queueRecovered({ namespace, queue, messages });
    await store.remove(alert.queue, alert.revision);
  };
  /** Writes the next level; undefined when somebody else was faster. */
  const move = async (
    alert: QueueAlert,
    level: QueueAlert['level'],
    { messages = alert.messages, seenMs }: Pick<Depth, 'messages' | 'seenMs'> = alert,
  ): Promise<QueueAlert | undefined> => {
    const moved = nextAlert(alert, { level, messages, seenMs }, clock.nowMs());
    return (await store.replace(moved, alert.revision)) ? moved : undefined;
  };

  const warn = async (record: NamespaceRecord, queue: string, { messages = 0, seenMs }: Depth): Promise<void> => {
    const alert: QueueAlert = {
      queue,
      revision: 1,
      namespace: record.namespace,
      incarnation: record.incarnation,
      episode: randomBytes(12).toString('base64url'),
      level: 'warning',
      messages,
      seenMs,
      changedMs: clock.nowMs(),
    };
    if (await store.insert(alert)) await finishWarning(record, alert);
  };
  const condemn = async (
    record: NamespaceRecord,
    alert: QueueAlert,
    depth: Depth,
    signal: AbortSignal,
  ): Promise<void> => {
    if (record.state !== 'active') return;
    // A warning that is stored only now, as there was nobody to tell before, tells of now.
    const { messages = alert.messages, seenMs } = depth;
    switch (await notices.warning(record, { ...alert, messages, seenMs })) {
      case 'waiting':
        lookAgain(alert.queue, WAITING_MS);
        return;
      case 'never':
        // Warned anew at the next look.
        await forget(alert);
        lookAgain(alert.queue, WAITING_MS);
        return;
      case 'done': {
        const over = await move(alert, 'over', depth);
        if (over !== undefined) await deletion.goOn(record, over, signal);
      }
    }
  };
  /** Takes over from an agent that is taken for dead; of several that do so one goes on. */
  const carryOn = async (
    record: NamespaceRecord | undefined,
    alert: QueueAlert,
    signal: AbortSignal,
  ): Promise<void> => {
    const taken = await move(alert, alert.level);
    if (taken === undefined) return;
    // That is decided only about a queue that is deleted.
    if (record?.incarnation !== taken.incarnation) return await deletion.finish(taken);
    switch (taken.level) {
      case 'warning':
        return await finishWarning(record, taken);
      case 'recovering':
        return await finishRecovery(record, taken);
      case 'over':
      case 'deleting':
        return await deletion.goOn(record, taken, signal);
      case 'deleted':
        return await deletion.finish(taken);
      case 'warned':
    }
  };

  return {
    async carryOut(action, { queue, record, depth }, alert, signal) {
      if (alert !== undefined && action === 'forget') return await forget(alert);
      if (alert !== undefined && action === 'carry-on') return await carryOn(record, alert, signal);
      if (record === undefined) return;
      if (action === 'warn') return await warn(record, queue, depth);
      if (alert === undefined) return;
      switch (action) {
        case 'recover': {
          const recovering = await move(alert, 'recovering', depth);
          if (recovering !== undefined) await finishRecovery(record, recovering);
          return;
        }
        case 'condemn':
          return await condemn(record, alert, depth, signal);
        case 'carry-on':
        case 'forget':
        case 'none':
      }
    },
  };
}
