import type { QueueDepths } from '../broker/amqp/queue-depths.ts';
import type { CountedBytes, Management } from '../broker/management/management.ts';
import type { StatisticsWatch } from '../broker/statistics-watch.ts';
import type { Config } from '../config/config.ts';
import { type Clock, type Moment, momentOf, type Sleep } from '../util/clock.ts';
import type { QueueAlert } from '../store/queue-alert-records.ts';
import { type AlertLimits, LISTING_LAG_MS } from './decide-alert.ts';
import { isQueueListed } from './is-queue-listed.ts';

interface ConfirmDepthParts {
  readonly management: Pick<Management, 'listQueues' | 'listQueueNames' | 'getQueue' | 'getQueueBytes'>;
  readonly queueDepths: Pick<QueueDepths, 'read'>;
  readonly statistics: Pick<StatisticsWatch, 'lagMs'>;
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
      /** Undefined where the size is not known, or is not the reason for the deletion. */
      readonly bytes?: number | undefined;
      /** Whether the queue has still passed the threshold for deletion. */
      readonly isTooDeep: boolean;
      /**
       * The number of ready messages with which it still passes, which can be counted again immediately. Undefined where
       * consumers hold some of them.
       */
      readonly enoughReady: number | undefined;
      readonly seenAt: Moment;
    };

/**
 * Measures the depth of the queue of an alert as precisely as RabbitMQ permits.
 *
 * @throws AgentError as the broker's calls do; the signal's reason
 */
export type ConfirmDepth = (
  alert: Pick<QueueAlert, 'queue' | 'bytes'>,
  limits: DeletionLimits,
  signal: AbortSignal,
) => Promise<ConfirmedDepth>;

type DeletionLimits = Pick<AlertLimits, 'deleteAtMessages' | 'deleteAtBytes' | 'onOvergrown'>;

/**
 * A passive declaration is fresh and counts the ready messages. Only where those are not enough, because consumers may
 * hold the rest, the listing is read, after its lag.
 *
 * A size is as old as the statistics. It is read after their lag, and counts only if the queue then holds at least as many
 * messages as were counted with it: a queue that was drained or replaced in between does not. Where the lag is not known,
 * a queue is not too deep by its size.
 *
 * Where a queue is to be purged, only its ready messages count: consumers keep those that they hold.
 */
export function createConfirmDepth(parts: ConfirmDepthParts): ConfirmDepth {
  const { management, queueDepths, statistics, clock, sleep } = parts;
  const { vhost } = parts.config;

  const readyMessages = async (queue: string, signal: AbortSignal): Promise<number | undefined> =>
    (await queueDepths.read([queue], signal)).get(queue);

  /** A queue that has crashed is in no listing with depths, and one whose node is down is not found by its name. */
  const confirmMissingQueue = async (name: string, signal: AbortSignal): Promise<ConfirmedDepth> => ({
    is: (await isQueueListed(management, vhost, name, { signal })) ? 'unknown' : 'missing',
  });

  /** The queue whose ready messages alone make it too deep. */
  const confirmReady = async (
    name: string,
    confirmed: Omit<Extract<ConfirmedDepth, { is: 'present' }>, 'is' | 'isTooDeep'>,
    signal: AbortSignal,
  ): Promise<ConfirmedDepth> => {
    const queue = await management.getQueue(vhost, name, { signal });
    if (queue === undefined) return await confirmMissingQueue(name, signal);
    return holdsUnread(queue) ? { is: 'present', isTooDeep: true, ...confirmed } : { is: 'unknown' };
  };

  const confirmListed = async (
    name: string,
    counted: CountedBytes | undefined,
    limits: DeletionLimits,
    signal: AbortSignal,
  ): Promise<ConfirmedDepth> => {
    const seenAt = momentOf(clock);
    const listed = (await management.listQueues(vhost, { signal })).find((queue) => queue.name === name);
    if (listed === undefined) return await confirmMissingQueue(name, signal);
    const { messages } = listed;
    if (messages === undefined) return { is: 'unknown' };
    const isCounted = counted !== undefined && messages >= counted.messages;
    const isOverSize = isCounted && isTooLarge(counted.bytes, limits);
    // It is being drained: the next statistics show by how much.
    if (counted !== undefined && isTooLarge(counted.bytes, limits) && !isCounted && messages > 0)
      return { is: 'unknown' };
    const bytes = messages === 0 ? 0 : isCounted ? counted.bytes : undefined;
    const isTooDeep = messages >= limits.deleteAtMessages || isOverSize;
    return { is: 'present', messages, bytes, isTooDeep, enoughReady: undefined, seenAt };
  };

  return async ({ queue: name, bytes }, limits, signal) => {
    const { deleteAtMessages, onOvergrown } = limits;
    const lagMs = statistics.lagMs();
    const wasLarge = bytes !== null && isTooLarge(bytes, limits) && Number.isFinite(lagMs);
    const seenAt = momentOf(clock);
    const ready = await readyMessages(name, signal);
    if (ready !== undefined && ready >= deleteAtMessages) {
      return await confirmReady(name, { messages: ready, enoughReady: deleteAtMessages, seenAt }, signal);
    }
    const few = { is: 'present', messages: ready ?? 0, isTooDeep: false, enoughReady: undefined, seenAt } as const;
    const countsReady = onOvergrown === 'purge' && ready !== undefined;
    if (countsReady && !wasLarge) return few;
    if (ready !== undefined) await sleep(wasLarge ? Math.max(lagMs, LISTING_LAG_MS) : LISTING_LAG_MS, signal);
    const counted = wasLarge ? await management.getQueueBytes(vhost, name, { signal }) : undefined;
    if (counted !== undefined && isTooLarge(counted.bytes, limits)) {
      const countedAt = momentOf(clock);
      const messages = (await readyMessages(name, signal)) ?? 0;
      if (messages >= counted.messages) {
        const confirmed = { messages, bytes: counted.bytes, enoughReady: counted.messages, seenAt: countedAt };
        return await confirmReady(name, confirmed, signal);
      }
    }
    return countsReady ? few : await confirmListed(name, counted, limits, signal);
  };
}

function isTooLarge(bytes: number, { deleteAtBytes }: DeletionLimits): boolean {
  return deleteAtBytes !== null && bytes >= deleteAtBytes;
}

/**
 * Whether a queue holds only messages that no consumer has acknowledged. A stream keeps all messages, so its depth is
 * meaningless: a listing has none for it, but a passive declaration has.
 */
export function holdsUnread({ type }: { readonly type: string }): boolean {
  return type === 'classic' || type === 'quorum';
}
