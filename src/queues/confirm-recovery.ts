import type { QueueDepths } from '../broker/amqp/queue-depths.ts';
import type { Management } from '../broker/management/management.ts';
import type { Config } from '../config/config.ts';
import type { QueueThresholds } from '../config/queue-rules.ts';
import type { Clock } from '../util/clock.ts';
import { type Depth, isSmall } from './decide-alert.ts';

interface ConfirmRecoveryParts {
  readonly management: Pick<Management, 'getQueue'>;
  readonly queueDepths: Pick<QueueDepths, 'read'>;
  readonly config: Pick<Config, 'vhost'>;
  readonly clock: Clock;
}

/**
 * Confirms that a queue which a listing shows as small is small now.
 *
 * @param listed what the listing shows: all messages, some seconds ago
 * @returns its depth; undefined where it is not small, or unknown
 * @throws AgentError `BrokerUnavailable`; the signal's reason
 */
export type ConfirmRecovery = (
  queue: string,
  listed: Depth,
  limits: Pick<QueueThresholds, 'warnAtMessages'>,
  signal: AbortSignal,
) => Promise<Depth | undefined>;

/**
 * An inspection is current and counts the ready messages only, the listing counts all and may lag behind: the queue has
 * recovered where it is small by both.
 */
export function createConfirmRecovery({
  management,
  queueDepths,
  config,
  clock,
}: ConfirmRecoveryParts): ConfirmRecovery {
  return async (queue, listed, limits, signal) => {
    const seenMs = clock.nowMs();
    const ready = (await queueDepths.read([queue], signal)).get(queue);
    if (listed.messages === undefined || (ready !== undefined && !isSmall(ready, limits))) return undefined;
    // A quorum queue without a leader may be listed, and inspected, with no messages.
    const declared = await management.getQueue(config.vhost, queue, { signal });
    if (declared === undefined || declared.isUncounted === true) return undefined;
    // Only its own connection can inspect an exclusive queue. It is a classic one, whose totals are current.
    if (ready === undefined) return declared.type === 'classic' ? listed : undefined;
    return { ...listed, messages: Math.max(ready, listed.messages), seenMs, lagMs: 0 };
  };
}
