import type { Management } from '../broker/management/management.ts';
import type { QueueDepths } from '../broker/amqp/queue-depths.ts';
import type { Clock } from '../util/clock.ts';
import type { QueueAlertStore } from '../store/queue-alert-records.ts';
import type { AlertLimits } from './decide-alert.ts';
import type { Growth } from './growth.ts';
import type { ProcessQueues, SeenQueue } from './process-queues.ts';
import { isCounted } from './managed-queue.ts';

/** What {@link createInspect} works with. */
export interface InspectParts {
  readonly management: Pick<Management, 'getQueue'>;
  readonly vhost: string;
  readonly readyCounts: Pick<QueueDepths, 'read'>;
  readonly store: Pick<QueueAlertStore, 'get'>;
  readonly judge: ProcessQueues;
  readonly growth: Growth;
  readonly clock: Clock;
  readonly limits: AlertLimits;
  /** A queue that grows and may pass its next threshold in so many ms. */
  readonly onGrowing: (queue: string, lookAfterMs: number) => void;
}

/**
 * Looks at single queues. What is seen is a lower limit of their depth: it can raise an alert, and end none.
 *
 * @throws AgentError `BrokerUnavailable`, `StoreUnavailable`; the signal's reason
 */
export type Inspect = (queues: readonly string[], signal: AbortSignal) => Promise<void>;

/** Builds it. Store and management API are asked about deep queues only. */
export function createInspect(parts: InspectParts): Inspect {
  const { management, vhost, readyCounts, store, judge, growth, clock, limits } = parts;

  const isUncounted = async (queue: string, signal: AbortSignal): Promise<boolean> => {
    const declared = await management.getQueue(vhost, queue, { signal });
    return declared === undefined || !isCounted(declared);
  };
  /**
   * Counts those once more that have no alert. Between the first count and the read of its alert somebody may have deleted
   * a queue, or seen it small again, and forgotten the alert: it would be warned of anew.
   */
  const countAgain = async (seen: readonly SeenQueue[], signal: AbortSignal): Promise<SeenQueue[]> => {
    const seenMs = clock.nowMs();
    const fresh = await readyCounts.read(
      seen.filter(({ alert }) => alert === undefined).map(({ queue }) => queue),
      signal,
    );
    return seen.map((one) =>
      one.alert === undefined ? { ...one, depth: { messages: fresh.get(one.queue), isWhole: false, seenMs } } : one,
    );
  };

  return async (queues, signal) => {
    const seenMs = clock.nowMs();
    const counts = await readyCounts.read(queues, signal);
    const deep: SeenQueue[] = [];
    for (const [queue, messages] of counts) {
      const isDeep = messages >= limits.warnAtMessages;
      if (isDeep && (await isUncounted(queue, signal))) {
        growth.forget(queue);
        continue;
      }
      const pauseMs = growth.takeLook(queue, messages, seenMs);
      if (pauseMs !== undefined) parts.onGrowing(queue, pauseMs);
      if (!isDeep) continue;
      deep.push({ queue, depth: { messages, isWhole: false, seenMs }, alert: await store.get(queue) });
    }
    await judge(await countAgain(deep, signal), signal);
  };
}
