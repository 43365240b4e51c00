import type { Config } from '../config/config.ts';
import { raisedThresholds } from '../config/claimable-limits.ts';
import type { OvergrownAction, QueueRule, QueueThresholds } from '../config/queue-rules.ts';
import type { NamespaceRecord } from '../store/namespace-record.ts';
import { namespaceOfQueue } from './queue-names.ts';

/** The settings that say what queues may hold. */
export type QueueLimitsConfig = QueueThresholds & Pick<Config, 'queues' | 'namespacePrefix'>;

/** What a queue may hold. */
export interface QueueLimits extends QueueThresholds {
  /** The rule that holds, by its place in the settings: `queues.0`, or {@link DEFAULT_RULE}. */
  readonly rule: string;
  /** What is done at the threshold for deletion. */
  readonly onOvergrown: OvergrownAction;
  /** After how long without consumers and change its owner is notified, and after as long again it is deleted; null: never. */
  readonly idleExpiryMs: number | null;
}

/** The name of the rule for all queues that no other one matches: the settings outside of `queues`. */
export const DEFAULT_RULE = 'default';

/**
 * What a queue may hold: the thresholds of the first rule that matches its whole name, or that of its namespace, raised as far
 * as a claim asked for and that rule allows.
 *
 * @param record that of its namespace; absent: what the rule says, which is never more
 *
 * @example
 * limitsOfQueue(config, 'queue/taskcluster-builds/jobs').deleteAtMessages; // 8000
 */
export function limitsOfQueue(
  config: QueueLimitsConfig,
  queue: string,
  record?: Pick<NamespaceRecord, 'queueLimits'>,
): QueueLimits {
  const index = ruleIndexOf(config, queue);
  const rule = config.queues[index];
  const idleExpirySeconds = rule?.idleExpirySeconds ?? null;
  const { warnAtMessages, deleteAtMessages, warnAtBytes, deleteAtBytes } = config;
  return {
    rule: rule === undefined ? DEFAULT_RULE : `queues.${index}`,
    ...raisedThresholds(rule ?? { warnAtMessages, deleteAtMessages, warnAtBytes, deleteAtBytes }, record?.queueLimits),
    onOvergrown: rule?.onOvergrown ?? 'delete',
    idleExpiryMs: idleExpirySeconds === null ? null : idleExpirySeconds * 1000,
  };
}

/** The rule that holds for a queue; undefined: none, and the settings outside of `queues` hold. */
export function ruleOfQueue(config: QueueLimitsConfig, queue: string): QueueRule | undefined {
  return config.queues[ruleIndexOf(config, queue)];
}

function ruleIndexOf({ queues, namespacePrefix }: QueueLimitsConfig, queue: string): number {
  if (queues.length === 0) return -1;
  const namespace = namespaceOfQueue(namespacePrefix, queue);
  return queues.findIndex(({ match }) => match.test(queue) || (namespace !== undefined && match.test(namespace)));
}

/** The lowest thresholds for warnings of all rules: what is below them needs no rule to be found. */
export function lowestWarning({
  queues,
  ...settings
}: QueueLimitsConfig): Pick<QueueThresholds, 'warnAtMessages' | 'warnAtBytes'> {
  const all: readonly QueueThresholds[] = [settings, ...queues];
  const bytes = all.flatMap(({ warnAtBytes }) => (warnAtBytes === null ? [] : [warnAtBytes]));
  return {
    warnAtMessages: Math.min(...all.map(({ warnAtMessages }) => warnAtMessages)),
    warnAtBytes: bytes.length === 0 ? null : Math.min(...bytes),
  };
}

/** Whether the size of some queues matters. */
export function areBytesWatched(config: QueueLimitsConfig): boolean {
  return lowestWarning(config).warnAtBytes !== null;
}
