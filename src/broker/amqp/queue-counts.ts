import type { Channel, ChannelModel } from 'amqplib';

/** What a queue holds, and how many consumers it has. */
export interface QueueCounts {
  /** Ready messages: those that a consumer has and has not acknowledged are not counted. */
  readonly messages: number;
  readonly consumers: number;
}

/** Channels that ask concurrently. Each asks about one queue at a time, and RabbitMQ closes it over a missing queue. */
const MAX_CHANNELS = 8;

/** Opening a channel costs RabbitMQ more than some answers on it: for few queues one is enough. */
const QUEUES_PER_CHANNEL = 20;

/**
 * Reads the counts of these queues, a few ms old, with passive declarations, which need no statistics. Queues that cannot be
 * read are left out: those that are missing, exclusive to another connection, or on a node that is down.
 */
export async function readQueueCounts(
  connection: Pick<ChannelModel, 'createChannel'>,
  queues: readonly string[],
  signal: AbortSignal,
): Promise<Map<string, QueueCounts>> {
  const counts = new Map<string, QueueCounts>();
  const rest = queues[Symbol.iterator]();
  const readOnOneChannel = async (): Promise<void> => {
    let channel: Channel | undefined;
    for (const queue of rest) {
      if (signal.aborted) break;
      channel ??= await openChannel(connection);
      try {
        const { messageCount, consumerCount } = await channel.checkQueue(queue);
        counts.set(queue, { messages: messageCount, consumers: consumerCount });
      } catch (error) {
        // The channel is closed.
        if (!isChannelError(error)) throw error;
        channel = undefined;
      }
    }
    await channel?.close();
  };
  await Promise.all(
    Array.from({ length: Math.min(MAX_CHANNELS, Math.ceil(queues.length / QUEUES_PER_CHANNEL)) }, readOnOneChannel),
  );
  return counts;
}

/** Reads the counts of one queue over a channel of its own; undefined: there is no such queue. */
export async function countQueue(
  connection: Pick<ChannelModel, 'createChannel'>,
  queue: string,
): Promise<QueueCounts | undefined> {
  const channel = await openChannel(connection);
  try {
    const { messageCount, consumerCount } = await channel.checkQueue(queue);
    await channel.close();
    return { messages: messageCount, consumers: consumerCount };
  } catch (error) {
    // RabbitMQ has closed the channel.
    if (error instanceof Error && 'code' in error && error.code === NOT_FOUND) return undefined;
    throw error;
  }
}

const NOT_FOUND = 404;

async function openChannel(connection: Pick<ChannelModel, 'createChannel'>): Promise<Channel> {
  const channel = await connection.createChannel();
  // Without a listener an error ends the process; the pending call rejects anyway.
  channel.on('error', () => undefined);
  return channel;
}

/** RabbitMQ closed the channel over one queue, with a code such as 404; the connection stays open. */
function isChannelError(error: unknown): boolean {
  return (
    error instanceof Error &&
    'code' in error &&
    typeof error.code === 'number' &&
    'methodId' in error &&
    error.message.startsWith('Operation failed')
  );
}
