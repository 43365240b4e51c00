import * as z from 'zod';
import type { ManagementCallOptions } from './management-http.ts';
import type { ManagementReads } from './management-reads.ts';
import { isUncounted } from './management-schemas.ts';

/** A queue with its depth, current. What is absent is unknown: a stream, or a queue that is down. */
export interface FoundQueue {
  readonly name: string;
  readonly messages?: number | undefined;
  readonly ready?: number | undefined;
  readonly unacknowledged?: number | undefined;
}

/** What the statistics have of a queue, up to 5 s old with RabbitMQ's default interval. What is absent is unknown. */
export interface QueueStatistics {
  readonly name: string;
  readonly consumers?: number | undefined;
  /** The messages that were counted with the bytes. */
  readonly messages?: number | undefined;
  readonly bytes?: number | undefined;
}

/** Queues whose names begin alike. */
export interface FoundQueues<Queue> {
  readonly queues: readonly Queue[];
  /** Whether these are all. */
  readonly isComplete: boolean;
}

/** Calls about many queues with more than their depths. */
export interface QueueSearchCalls {
  /** Visits every queue with its depth as it arrives, as `visitQueues` does; rejects with what `visit` throws. */
  visitQueueDepths(vhost: string, visit: (queue: FoundQueue) => void, options?: ManagementCallOptions): Promise<void>;
  /** Visits every queue with what the statistics have of it. It takes two to four times as long as the depths. */
  visitQueueStatistics(
    vhost: string,
    visit: (queue: QueueStatistics) => void,
    options?: ManagementCallOptions,
  ): Promise<void>;
  /**
   * The queues whose names begin alike, with depths, without statistics. It takes half as long as the listing of all queues,
   * whatever is found. It reads pages of 500 queues, four at most, in the order of the names.
   */
  findQueues(vhost: string, start: string, options?: ManagementCallOptions): Promise<FoundQueues<FoundQueue>>;
  /** The same queues with what the statistics have of them. */
  findQueueStatistics(
    vhost: string,
    start: string,
    options?: ManagementCallOptions,
  ): Promise<FoundQueues<QueueStatistics>>;
}

/** The largest page that RabbitMQ serves. */
const PAGE_SIZE = 500;
const MAX_PAGES = 4;

/** A listing walks over all queues of the broker, in ms. */
const TIMEOUT_MS = 8_000;

const DEPTHS = {
  disable_stats: 'true',
  enable_queue_totals: 'true',
  columns: 'name,messages,messages_ready,messages_unacknowledged,state',
};
const STATISTICS = { columns: 'name,messages,message_bytes,consumers,state' };

const foundQueueSchema = z
  .object({
    name: z.string(),
    messages: z.number().optional(),
    messages_ready: z.number().optional(),
    messages_unacknowledged: z.number().optional(),
    state: z.string().optional(),
  })
  .transform(
    ({ name, messages, messages_ready: ready, messages_unacknowledged: unacknowledged, state }): FoundQueue =>
      messages === undefined || isUncounted(state) ? { name } : { name, messages, ready, unacknowledged },
  );

const queueStatisticsSchema = z
  .object({
    name: z.string(),
    messages: z.number().optional(),
    message_bytes: z.number().optional(),
    consumers: z.number().optional(),
    state: z.string().optional(),
  })
  .transform(
    ({ name, messages, message_bytes: bytes, consumers, state }): QueueStatistics =>
      isUncounted(state) ? { name } : { name, messages, bytes, consumers },
  );

const pageOf = <Queue>(queue: z.ZodType<Queue>) => z.object({ items: z.array(queue), page_count: z.number() });
const foundPageSchema = pageOf(foundQueueSchema);
const statisticsPageSchema = pageOf(queueStatisticsSchema);

/** Creates the calls over the ways to read. */
export function createQueueSearchCalls({ get, visitAll }: Pick<ManagementReads, 'get' | 'visitAll'>): QueueSearchCalls {
  const search = async <Queue extends { readonly name: string }>(
    schema: z.ZodType<{ items: Queue[]; page_count: number }>,
    query: Record<string, string>,
    [vhost, start, options]: Parameters<QueueSearchCalls['findQueues']>,
  ): Promise<FoundQueues<Queue>> => {
    // By name, because a queue that is made or deleted between two pages moves the others.
    const found = new Map<string, Queue>();
    for (let page = 1; ; page += 1) {
      const { items, page_count: pages } = await get(
        schema,
        ['queues', vhost],
        { timeoutMs: TIMEOUT_MS, ...options },
        {
          ...query,
          page: String(page),
          page_size: String(PAGE_SIZE),
          use_regex: 'true',
          name: `^${start.replaceAll(/[^\w/-]/g, String.raw`\$&`)}`,
        },
      );
      // RabbitMQ ignores the case of letters.
      for (const queue of items) if (queue.name.startsWith(start)) found.set(queue.name, queue);
      if (page >= pages) return { queues: [...found.values()], isComplete: true };
      if (page === MAX_PAGES) return { queues: [...found.values()], isComplete: false };
    }
  };
  return {
    visitQueueDepths: (vhost, visit, options) => visitAll(foundQueueSchema, ['queues', vhost], visit, options, DEPTHS),
    visitQueueStatistics: (vhost, visit, options) =>
      visitAll(queueStatisticsSchema, ['queues', vhost], visit, options, STATISTICS),
    findQueues: (...call) => search(foundPageSchema, DEPTHS, call),
    findQueueStatistics: (...call) => search(statisticsPageSchema, STATISTICS, call),
  };
}
