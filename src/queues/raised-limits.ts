import type { NamespaceRecord } from '../store/namespace-record.ts';
import { BoundedMap } from '../util/bounded-map.ts';
import { limitsOfQueue, type QueueLimits, type QueueLimitsConfig } from './queue-limits.ts';
import { namespaceOfQueue } from './queue-names.ts';

/** Which limits claims have raised, in the memory of this agent: predictions of growth have no record at hand. */
export interface RaisedLimits {
  /** Remembers what a record says. */
  readonly remember: (namespace: string, record: Pick<NamespaceRecord, 'queueLimits'> | undefined) => void;
  /** The limits of a queue, as far as they are remembered; they decide nothing. */
  readonly of: (queue: string) => QueueLimits;
}

/** Of a forgotten namespace growth is predicted by the rule alone, until its next queue is processed. */
const MAX_NAMESPACES = 10_000;

/** Remembers nothing yet. */
export function createRaisedLimits(config: QueueLimitsConfig): RaisedLimits {
  const raised = new BoundedMap<string, Pick<NamespaceRecord, 'queueLimits'>>({ maxSize: MAX_NAMESPACES });
  return {
    remember(namespace, record) {
      const queueLimits = record?.queueLimits;
      if (queueLimits === undefined) raised.delete(namespace);
      else raised.set(namespace, { queueLimits });
    },
    of(queue) {
      const namespace = raised.size === 0 ? undefined : namespaceOfQueue(config.namespacePrefix, queue);
      return limitsOfQueue(config, queue, namespace === undefined ? undefined : raised.get(namespace));
    },
  };
}
