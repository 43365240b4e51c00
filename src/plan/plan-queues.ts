import type { ListedQueue } from '../broker/management/management.ts';
import type { NamePattern } from '../util/name-pattern.ts';
import { type AlertAction, type AlertLimits, decideQueueAlert } from '../queues/decide-alert.ts';
import { namespaceOfQueue } from '../queues/queue-names.ts';
import type { NamespaceRecord } from '../store/namespace-record.ts';
import type { QueueAlert } from '../store/queue-alert-records.ts';

/** What the next survey would do about a queue. */
export interface PlannedQueue {
  readonly queue: string;
  readonly namespace: string;
  /** `delete` only if its owner was warned, and if it is still too deep when it is looked at once more. */
  readonly action: Exclude<AlertAction, 'none'>;
  readonly messages: number | undefined;
  /** Why, as a clause. */
  readonly why: string;
}

/** What a survey depends on. */
export interface QueuePlanContext {
  readonly nowMs: number;
  readonly limits: AlertLimits;
  readonly namespacePrefix: string;
  readonly exemptQueues: readonly Pick<NamePattern, 'test'>[];
}

/**
 * What a survey would do that sees these queues now, by the same decision.
 *
 * @param records of the namespaces that queues belong to by their names
 */
export function planQueues(
  queues: readonly ListedQueue[],
  alerts: ReadonlyMap<string, QueueAlert>,
  records: ReadonlyMap<string, NamespaceRecord>,
  { nowMs, limits, namespacePrefix, exemptQueues }: QueuePlanContext,
): PlannedQueue[] {
  return queues.flatMap(({ name: queue, messages }): PlannedQueue[] => {
    const namespace = namespaceOfQueue(namespacePrefix, queue);
    const record = namespace === undefined ? undefined : records.get(namespace);
    if (namespace === undefined || record === undefined) return [];
    if (record.state !== 'active' && record.state !== 'provisioning') return [];
    if (exemptQueues.some((pattern) => pattern.test(queue))) return [];
    const depth = { messages, isExact: true, seenMs: nowMs };
    const action = decideQueueAlert(alerts.get(queue), record.incarnation, depth, limits, nowMs);
    if (action === 'none') return [];
    return [{ queue, namespace, action, messages, why: whyOf(action, messages, limits) }];
  });
}

function whyOf(
  action: Exclude<AlertAction, 'none'>,
  messages: number | undefined,
  { warnAtMessages, deleteAtMessages }: AlertLimits,
): string {
  const count = `it has ${messages ?? 'unknown'} messages`;
  switch (action) {
    case 'warn':
      return `${count}, and owners are warned at ${warnAtMessages}`;
    case 'delete':
      return `${count}, its owner was warned, and queues are deleted at ${deleteAtMessages}`;
    case 'recover':
      return `${count}, less than half of ${warnAtMessages}`;
    case 'resume':
      return 'an agent began with it and has not finished';
    case 'discard':
      return 'its alert is of an earlier incarnation of the namespace';
  }
}
