import type { CountedBytes, ListedQueue } from '../broker/management/management.ts';
import { currentCount } from '../queues/current-count.ts';
import { type AlertAction, decideQueueAlert, LISTING_LAG_MS } from '../queues/decide-alert.ts';
import { formatInstant } from '../contract/fields.ts';
import { DEFAULT_RULE, limitsOfQueue, type QueueLimits, type QueueLimitsConfig } from '../queues/queue-limits.ts';
import { namespaceOfQueue } from '../queues/queue-names.ts';
import type { NamespaceRecord } from '../store/namespace-record.ts';
import type { QueueAlert } from '../store/queue-alert-records.ts';
import type { QueueExemption } from '../store/queue-exemption-records.ts';
import { matchesAny, type NamePattern } from '../util/name-pattern.ts';

/** What the next survey would do about a queue. */
export interface PlannedQueue {
  readonly queue: string;
  readonly namespace: string;
  /**
   * `delete` only if its owner was warned, and if the confirmed depth is still above the threshold; `keep` where an operator's
   * exemption prevents it.
   */
  readonly action: Exclude<AlertAction, 'none'> | 'keep';
  readonly messages: number | undefined;
  /** The size of its messages in bytes; undefined: unknown. */
  readonly bytes: number | undefined;
  /** The reason, as a clause. */
  readonly why: string;
  /** The rule that holds, as in {@link QueueLimits}. */
  readonly rule: string;
}

/** The settings on which a survey depends. */
export interface SurveyConfig extends QueueLimitsConfig {
  readonly exemptQueues: readonly Pick<NamePattern, 'test'>[];
  readonly reservedNamespaces: readonly Pick<NamePattern, 'test'>[];
}

/**
 * What a survey would do about these queues now. It uses the survey's own decision.
 *
 * @param records those of the namespaces to which the queues belong by their names
 */
export function planQueues(
  queues: readonly ListedQueue[],
  alerts: ReadonlyMap<string, QueueAlert>,
  records: ReadonlyMap<string, NamespaceRecord>,
  config: SurveyConfig,
  nowMs: number,
  sizes: ReadonlyMap<string, CountedBytes> = new Map(),
  exemptions: ReadonlyMap<string, Pick<QueueExemption, 'untilMs'>> = new Map(),
): PlannedQueue[] {
  return queues.flatMap(({ name: queue, messages }): PlannedQueue[] => {
    const namespace = namespaceOfQueue(config.namespacePrefix, queue);
    const record = namespace === undefined ? undefined : records.get(namespace);
    if (namespace === undefined || record === undefined) return [];
    if (record.state !== 'active' && record.state !== 'provisioning') return [];
    if (matchesAny(config.exemptQueues, queue) || matchesAny(config.reservedNamespaces, namespace)) return [];
    const bytes = currentCount(sizes.get(queue), messages)?.bytes;
    const when = { seenMs: nowMs, lagMs: LISTING_LAG_MS };
    const observed = bytes === undefined ? undefined : { bytes, ...when };
    const depth = { messages, bytes: observed, isExact: true, ...when };
    const limits = limitsOfQueue(config, queue, record);
    const action = decideQueueAlert(alerts.get(queue), record.incarnation, depth, limits, nowMs);
    if (action === 'none') return [];
    const why = `${explain(action, messages, bytes, limits)}${ruleText(limits)}`;
    const planned = { queue, namespace, messages, bytes, rule: limits.rule };
    const exemption = exemptions.get(queue);
    if (exemption === undefined || (action !== 'delete' && action !== 'purge')) return [{ ...planned, action, why }];
    const until = formatInstant(exemption.untilMs);
    return [{ ...planned, action: 'keep', why: `${why}; an operator exempted it until ${until}` }];
  });
}

const AT_DELETION = { delete: 'queues are deleted', purge: 'it is purged', leave: 'it is left alone' } as const;

function explain(
  action: Exclude<AlertAction, 'none'>,
  messages: number | undefined,
  bytes: number | undefined,
  { warnAtMessages, deleteAtMessages, warnAtBytes, deleteAtBytes }: QueueLimits,
): string {
  const count = `it has ${messages ?? 'unknown'} messages`;
  switch (action) {
    case 'warn':
      return (messages ?? 0) >= warnAtMessages
        ? `${count}, and owners are warned at ${warnAtMessages}`
        : `${count} of ${bytes} bytes, and owners are warned at ${warnAtBytes} bytes`;
    case 'delete':
    case 'purge':
    case 'leave':
      return (messages ?? 0) >= deleteAtMessages
        ? `${count}, its owner was warned, and ${AT_DELETION[action]} at ${deleteAtMessages}`
        : `${count} of ${bytes} bytes, its owner was warned, and ${AT_DELETION[action]} at ${deleteAtBytes} bytes`;
    case 'recover':
      return `${count}, fewer than half of ${warnAtMessages}`;
    case 'warn-idle':
      return 'it is unused';
    case 'expire':
      return 'it is unused, and its owner was notified';
    case 'resume':
      return 'an agent began to act on its alert and has not finished';
    case 'discard':
      return 'its alert is of an earlier incarnation of the namespace';
  }
}

/** Which rule holds; nothing where it is that of all queues. */
function ruleText({ rule }: QueueLimits): string {
  return rule === DEFAULT_RULE ? '' : ` (by ${rule})`;
}
