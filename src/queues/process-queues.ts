import type { Reporters } from '../agent/reporters.ts';
import { forEachConcurrently } from '../util/concurrency.ts';
import type { Clock } from '../util/clock.ts';
import type { NamePattern } from '../util/name-pattern.ts';
import type { QueueAlert } from '../store/queue-alert-records.ts';
import type { NamespaceRecord } from '../store/namespace-record.ts';
import type { NamespaceStore } from '../store/store.ts';
import type { Alerts } from './alerts.ts';
import { type AlertLimits, decideQueueAlert, type Depth } from './decide-alert.ts';
import { namespaceOfQueue } from './managed-queue.ts';

/** What {@link createProcessQueues} works with. */
export interface ProcessQueuesParts {
  readonly namespaces: Pick<NamespaceStore, 'get'>;
  readonly alerts: Alerts;
  readonly clock: Clock;
  readonly limits: AlertLimits;
  readonly namespacePrefix: string;
  /** Queues whose whole name one of these matches are left alone. */
  readonly exemptQueues: readonly NamePattern[];
  readonly reporters: Pick<Reporters, 'queueNotProcessed'>;
}

/** A queue about which there may be something to do. */
export interface SeenQueue {
  readonly queue: string;
  readonly depth: Depth;
  readonly alert: QueueAlert | undefined;
}

/**
 * Decides about queues that were looked at, and does it. One that fails stops none of the others.
 *
 * @throws AgentError of the last failure when only failures come: it is not the queues then; the signal's reason
 */
export type ProcessQueues = (seen: readonly SeenQueue[], signal: AbortSignal) => Promise<void>;

/** Several at once, so that one whose deletion takes long holds up no other. */
const WIDTH = 8;

/** Builds it. Only queues of a namespace that has a record and is not ending are ever acted upon. */
export function createProcessQueues(parts: ProcessQueuesParts): ProcessQueues {
  const { namespaces, alerts, clock, limits, namespacePrefix, exemptQueues, reporters } = parts;

  const ownerOf = async (queue: string): Promise<NamespaceRecord | undefined> => {
    const namespace = namespaceOfQueue(namespacePrefix, queue);
    if (namespace === undefined || exemptQueues.some((pattern) => pattern.test(queue))) return undefined;
    const record = await namespaces.get(namespace);
    return record?.state === 'active' || record?.state === 'provisioning' ? record : undefined;
  };
  const judge = async ({ queue, depth, alert }: SeenQueue, signal: AbortSignal): Promise<void> => {
    const record = await ownerOf(queue);
    if (record === undefined && alert === undefined) return;
    const action = decideQueueAlert(alert, record?.incarnation, depth, limits, clock.nowMs());
    await alerts.carryOut(action, { queue, record, depth }, alert, signal);
  };

  return async (seen, signal) => {
    let failuresInARow = 0;
    await forEachConcurrently(seen, WIDTH, async (one) => {
      signal.throwIfAborted();
      try {
        await judge(one, signal);
        failuresInARow = 0;
      } catch (error) {
        if (signal.aborted) throw error;
        reporters.queueNotProcessed(one.queue, error);
        failuresInARow += 1;
        if (failuresInARow >= WIDTH) throw error;
      }
    });
  };
}
