import type { ChannelModel } from 'amqplib';
import { type QueueCounts, readQueueCounts } from '../broker/amqp/queue-counts.ts';
import type { Management } from '../broker/management/management.ts';
import type { Config } from '../config/config.ts';
import type { AgentContext } from '../context.ts';
import { untilAborted } from '../util/deadline.ts';
import { createPolling } from '../util/polling.ts';

/** The agent's queues in the vhost of the requests, as metrics label them. */
type RequestQueueLabel = 'requests' | 'unknown-methods' | 'dead';

/** Watches how much waits in the queues of the requests, and how many agents take it. */
export interface RequestQueuesWatch {
  /** Reads them over this connection from now on. */
  readOver(connection: Pick<ChannelModel, 'createChannel'>): void;
  /** As they were read last; undefined while they are unknown. */
  current(): ReadonlyMap<RequestQueueLabel, QueueCounts> | undefined;
  start(): void;
  close(): Promise<void>;
}

/** The pause between two readings, in ms: each is a few small calls. */
const PAUSE_MS = 5_000;
/** Counts that were read longer ago, in ms, are unknown. */
const KEPT_MS = 30_000;

type RequestQueuesWatchContext = Pick<AgentContext, 'names' | 'clock' | 'sleep'> & {
  readonly config: Pick<Config, 'requestVhost'>;
  readonly management: Pick<Management, 'getQuorumQueue'>;
};

/** Creates the watch of one agent. A connection without answers makes the counts unknown until the next one. */
export function createRequestQueuesWatch({
  config: { requestVhost },
  names,
  management,
  clock,
  sleep,
}: RequestQueuesWatchContext): RequestQueuesWatch {
  const labels = new Map<string, RequestQueueLabel>([
    [names.requestQueue, 'requests'],
    [names.unknownMethodsQueue, 'unknown-methods'],
    [names.deadQueue, 'dead'],
  ]);
  let current: { readonly connection: Pick<ChannelModel, 'createChannel'>; readonly use: AbortController } | undefined;
  let latest: { readonly startedMs: number; readonly counts: ReadonlyMap<RequestQueueLabel, QueueCounts> } | undefined;

  /** Of a quorum queue without a leader RabbitMQ says that it has no messages and no consumers. */
  const isEmptyForSure = async (queue: string, signal: AbortSignal): Promise<boolean> => {
    try {
      const places = await management.getQuorumQueue(requestVhost, queue, { signal });
      return places === undefined || places.leader !== undefined;
    } catch {
      return false;
    }
  };

  const read = async (signal: AbortSignal): Promise<void> => {
    if (current === undefined) return;
    const { connection, use } = current;
    const startedMs = clock.monotonicMs();
    const found = await untilAborted(readQueueCounts(connection, [...labels.keys()], use.signal), use.signal);
    const counts = new Map<RequestQueueLabel, QueueCounts>();
    for (const [name, label] of labels) {
      const count = found.get(name);
      if (count === undefined) continue;
      const holdsNothing = count.messages === 0 && count.consumers === 0;
      if (!holdsNothing || (await isEmptyForSure(name, signal))) counts.set(label, count);
    }
    latest = { startedMs, counts };
  };
  const polling = createPolling(read, () => PAUSE_MS, sleep);

  return {
    readOver(connection) {
      current?.use.abort(new Error('The connection was replaced.'));
      current = { connection, use: new AbortController() };
    },
    current: () =>
      latest === undefined || clock.monotonicMs() - latest.startedMs > KEPT_MS ? undefined : latest.counts,
    start: () => polling.start(),
    close: () => polling.close(),
  };
}
