import type { QueueDepths } from '../broker/amqp/queue-depths.ts';
import type { Management } from '../broker/management/management.ts';
import type { Config } from '../config/config.ts';
import { type Clock, type Moment, momentOf, type Sleep } from '../util/clock.ts';
import { LISTING_LAG_MS } from './decide-alert.ts';

interface ConfirmDepthParts {
  readonly management: Pick<Management, 'listQueues' | 'getQueue'>;
  readonly queueDepths: Pick<QueueDepths, 'read'>;
  readonly config: Pick<Config, 'vhost'>;
  readonly clock: Clock;
  readonly sleep: Sleep;
}

/** The state of a queue immediately before its deletion. */
export type ConfirmedDepth =
  | { readonly is: 'missing' }
  | { readonly is: 'unknown' }
  | {
      readonly is: 'present';
      readonly messages: number;
      /** Whether these are the ready messages alone, which can be counted again immediately. */
      readonly isReady: boolean;
      readonly seenAt: Moment;
    };

/**
 * Measures the depth of one queue as precisely as RabbitMQ permits.
 *
 * @param enough no second measurement is made when this many messages are ready
 * @throws AgentError as the broker's calls do; the signal's reason
 */
export type ConfirmDepth = (queue: string, enough: number, signal: AbortSignal) => Promise<ConfirmedDepth>;

/**
 * A passive declaration is fresh and counts the ready messages. Only where those are not enough, because consumers may
 * hold the rest, the listing is read, after its lag.
 */
export function createConfirmDepth(parts: ConfirmDepthParts): ConfirmDepth {
  const { management, queueDepths, clock, sleep } = parts;
  const { vhost } = parts.config;
  return async (name, enough, signal) => {
    const readAt = momentOf(clock);
    const ready = (await queueDepths.read([name], signal)).get(name);
    if (ready !== undefined && ready >= enough) {
      const queue = await management.getQueue(vhost, name, { signal });
      if (queue === undefined) return { is: 'missing' };
      return holdsUnread(queue) ? { is: 'present', messages: ready, isReady: true, seenAt: readAt } : { is: 'unknown' };
    }
    if (ready !== undefined) await sleep(LISTING_LAG_MS, signal);
    const seenAt = momentOf(clock);
    const listed = (await management.listQueues(vhost, { signal })).find((queue) => queue.name === name);
    // A queue that has crashed is in no listing.
    if (listed === undefined) {
      return { is: (await management.getQueue(vhost, name, { signal })) === undefined ? 'missing' : 'unknown' };
    }
    const { messages } = listed;
    return messages === undefined ? { is: 'unknown' } : { is: 'present', messages, isReady: false, seenAt };
  };
}

/**
 * Whether a queue holds only messages that no consumer has acknowledged. A stream keeps all messages, so its depth is
 * meaningless: a listing has none for it, but a passive declaration has.
 */
export function holdsUnread({ type }: { readonly type: string }): boolean {
  return type === 'classic' || type === 'quorum';
}
