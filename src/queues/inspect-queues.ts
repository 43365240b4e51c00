import type { QueueDepths } from '../broker/amqp/queue-depths.ts';
import type { Management } from '../broker/management/management.ts';
import type { Config } from '../config/config.ts';
import type { QueueAlertStore } from '../store/queue-alert-records.ts';
import type { Clock } from '../util/clock.ts';
import { holdsUnread } from './confirm-depth.ts';
import type { ByteCounts } from './byte-counts.ts';
import { type ObservedQueue, reachesWarning } from './decide-alert.ts';
import type { GrowthTracker } from './growth-tracker.ts';
import type { InspectionSchedule } from './inspection-schedule.ts';
import { limitsOfQueue, type QueueLimitsConfig } from './queue-limits.ts';
import type { ProcessQueues } from './process-queues.ts';

interface InspectQueuesParts {
  readonly management: Pick<Management, 'getQueue'>;
  readonly queueDepths: Pick<QueueDepths, 'read'>;
  readonly store: { readonly queueAlerts: Pick<QueueAlertStore, 'get'> };
  readonly processQueues: ProcessQueues;
  readonly growth: GrowthTracker;
  readonly byteCounts: Pick<ByteCounts, 'inspect' | 'sizeOf' | 'forget'>;
  readonly schedule: Pick<InspectionSchedule, 'add'>;
  readonly config: QueueLimitsConfig & Pick<Config, 'vhost'>;
  readonly clock: Clock;
}

/**
 * Inspects single queues. The depth that it reads is current and a lower bound: it can raise an alert, and end none.
 *
 * @throws AgentError `BrokerUnavailable`, `StoreUnavailable`; the signal's reason
 */
export type InspectQueues = (queues: readonly string[], signal: AbortSignal) => Promise<void>;

/** Asks the store and the management API only about queues above the threshold for warnings. */
export function createInspectQueues(parts: InspectQueuesParts): InspectQueues {
  const { management, queueDepths, store, processQueues, growth, byteCounts, schedule, config, clock } = parts;
  const { vhost } = config;

  const isWatched = async (queue: string, signal: AbortSignal): Promise<boolean> => {
    const declared = await management.getQueue(vhost, queue, { signal });
    return declared !== undefined && holdsUnread(declared);
  };

  /**
   * Reads the depth of queues without an alert again. Between the first reading and the read of its alert another agent
   * may have deleted a queue, or found it recovered, and removed the alert: it would be warned of a second time.
   */
  const confirmWithoutAlert = async (
    observed: readonly ObservedQueue[],
    signal: AbortSignal,
  ): Promise<ObservedQueue[]> => {
    const seenMs = clock.nowMs();
    const withoutAlert = observed.filter(({ alert }) => alert === undefined).map(({ queue }) => queue);
    const depths = await queueDepths.read(withoutAlert, signal);
    return observed.map((one) => {
      if (one.alert !== undefined) return one;
      const messages = depths.get(one.queue);
      const bytes = byteCounts.sizeOf(one.queue, messages);
      return { ...one, depth: { messages, bytes, isExact: false, seenMs, lagMs: 0 } };
    });
  };

  return async (queues, signal) => {
    // The sizes come before the depths, as in a survey.
    await byteCounts.inspect(queues, signal);
    const seenMs = clock.nowMs();
    const depths = await queueDepths.read(queues, signal);
    const deep: ObservedQueue[] = [];
    for (const [queue, messages] of depths) {
      const bytes = byteCounts.sizeOf(queue, messages);
      const isDeep = reachesWarning(messages, bytes?.bytes, limitsOfQueue(config, queue));
      if (isDeep && !(await isWatched(queue, signal))) {
        growth.forget(queue);
        byteCounts.forget(queue);
        continue;
      }
      const inspectAfterMs = growth.recordInspection(queue, messages, seenMs);
      if (inspectAfterMs !== undefined) schedule.add(queue, inspectAfterMs);
      if (!isDeep) continue;
      const alert = await store.queueAlerts.get(queue);
      deep.push({ queue, depth: { messages, bytes, isExact: false, seenMs, lagMs: 0 }, alert });
    }
    await processQueues(await confirmWithoutAlert(deep, signal), signal);
  };
}
