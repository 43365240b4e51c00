import { setTimeout as sleep } from 'node:timers/promises';
import type { Management } from '../broker/management/management.ts';
import type { QueueDepths } from '../broker/amqp/queue-depths.ts';
import { type Clock, type Moment, momentOf } from '../util/clock.ts';
import { LISTING_LAG_MS } from './decide-alert.ts';
import { isCounted } from './managed-queue.ts';

/** What {@link createConfirmDepth} works with. */
export interface ConfirmDepthParts {
  readonly management: Pick<Management, 'listQueues' | 'getQueue'>;
  readonly readyCounts: Pick<QueueDepths, 'read'>;
  readonly clock: Clock;
  readonly vhost: string;
}

/** What was seen of a queue right before it would be deleted. */
export type ConfirmedDepth =
  | { readonly is: 'missing' }
  | { readonly is: 'unknown' }
  | {
      readonly is: 'there';
      readonly messages: number;
      /** Whether these are the ready ones alone, which can be counted again at once. */
      readonly isReady: boolean;
      readonly seenAt: Moment;
    };

/**
 * Looks at one queue as precisely as RabbitMQ lets one. It rejects as the broker's calls do.
 *
 * @param enough with so many messages it is not looked further
 */
export type ConfirmDepth = (queue: string, enough: number, signal: AbortSignal) => Promise<ConfirmedDepth>;

/**
 * Makes the look. A passive declaration is fresh and counts what is ready. Only where that is not enough, as consumers may
 * hold the rest, the listing is asked, so much later that it knows what the first look knew.
 */
export function createConfirmDepth({ management, readyCounts, clock, vhost }: ConfirmDepthParts): ConfirmDepth {
  return async (name, enough, signal) => {
    const readAt = momentOf(clock);
    const ready = (await readyCounts.read([name], signal)).get(name);
    if (ready !== undefined && ready >= enough) {
      const queue = await management.getQueue(vhost, name, { signal });
      if (queue === undefined) return { is: 'missing' };
      return isCounted(queue) ? { is: 'there', messages: ready, isReady: true, seenAt: readAt } : { is: 'unknown' };
    }
    if (ready !== undefined) await sleep(LISTING_LAG_MS, undefined, { signal });
    const seenAt = momentOf(clock);
    const listed = (await management.listQueues(vhost, { signal })).find((queue) => queue.name === name);
    // One that has crashed is in no listing.
    if (listed === undefined) {
      return { is: (await management.getQueue(vhost, name, { signal })) === undefined ? 'missing' : 'unknown' };
    }
    const { messages } = listed;
    return messages === undefined ? { is: 'unknown' } : { is: 'there', messages, isReady: false, seenAt };
  };
}
