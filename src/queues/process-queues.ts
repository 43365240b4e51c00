import type { AgentContext } from '../context.ts';
import type { Config } from '../config/config.ts';
import type { NamespaceRecord } from '../store/namespace-record.ts';
import type { NamespaceStore } from '../store/store.ts';
import type { Clock } from '../util/clock.ts';
import { forEachConcurrently } from '../util/concurrency.ts';
import { matchesAny } from '../util/name-pattern.ts';
import type { ApplyAlertAction } from './apply-alert-action.ts';
import { decideQueueAlert, type ObservedQueue } from './decide-alert.ts';
import { limitsOfQueue, type QueueLimitsConfig } from './queue-limits.ts';
import { namespaceOfQueue } from './queue-names.ts';

interface ProcessQueuesParts {
  readonly store: { readonly namespaces: Pick<NamespaceStore, 'get'> };
  readonly applyAlertAction: ApplyAlertAction;
  readonly config: QueueLimitsConfig & Pick<Config, 'exemptQueues' | 'reservedNamespaces'>;
  readonly clock: Clock;
  /** Called with each record that is read. */
  readonly onRecord?: (namespace: string, record: NamespaceRecord | undefined) => void;
  readonly reporters: Pick<AgentContext['reporters'], 'queueNotProcessed'>;
}

/**
 * Decides about observed queues, and does what was decided. The failure of one does not affect the rest.
 *
 * @throws AgentError of the latest of eight failures in a row: then the broker or the store fails, not a queue; the signal's
 *   reason
 */
export type ProcessQueues = (observed: readonly ObservedQueue[], signal: AbortSignal) => Promise<void>;

/** A slow deletion does not delay the other queues. */
const CONCURRENCY = 8;

/** Acts only on queues of a namespace that has a record and is not being deleted. */
export function createProcessQueues(parts: ProcessQueuesParts): ProcessQueues {
  const { store, applyAlertAction, config, clock, reporters } = parts;

  /** The record of the namespace for which a queue is watched. */
  const watchingRecord = async (queue: string): Promise<NamespaceRecord | undefined> => {
    const namespace = namespaceOfQueue(config.namespacePrefix, queue);
    if (namespace === undefined || matchesAny(config.exemptQueues, queue)) return undefined;
    if (matchesAny(config.reservedNamespaces, namespace)) return undefined;
    const record = await store.namespaces.get(namespace);
    parts.onRecord?.(namespace, record);
    return record?.state === 'active' || record?.state === 'provisioning' ? record : undefined;
  };
  const processQueue = async (observed: ObservedQueue, signal: AbortSignal): Promise<void> => {
    const { queue, depth, alert } = observed;
    const record = await watchingRecord(queue);
    if (record === undefined && alert === undefined) return;
    const action = decideQueueAlert(
      alert,
      record?.incarnation,
      depth,
      limitsOfQueue(config, queue, record),
      clock.nowMs(),
    );
    await applyAlertAction(action, observed, record, signal);
  };

  return async (queues, signal) => {
    let failuresInARow = 0;
    await forEachConcurrently(queues, CONCURRENCY, async (observed) => {
      signal.throwIfAborted();
      try {
        await processQueue(observed, signal);
        failuresInARow = 0;
      } catch (error) {
        if (signal.aborted) throw error;
        reporters.queueNotProcessed(observed.queue, error);
        failuresInARow += 1;
        if (failuresInARow >= CONCURRENCY) throw error;
      }
    });
  };
}
