import type { Channel, ChannelModel } from 'amqplib';
import { AgentError, asError } from '../../util/agent-errors.ts';
import { startDeadline } from '../../util/deadline.ts';
import type { AmqpAddresses } from './connect-in-turn.ts';
import { createOnDemandConnection } from './on-demand-connection.ts';

interface QueueDepthsOptions extends AmqpAddresses {
  readonly id: string;
  /** How long one call may take, in ms; 10 seconds when absent. */
  readonly timeoutMs?: number;
  /** Trusted certificates in PEM, instead of the system's. */
  readonly ca?: string | undefined;
}

/** Reads the depth of single queues. */
export interface QueueDepths {
  /**
   * The ready messages of each of these queues, a few ms old; queues that do not exist are left out. Unacknowledged messages
   * are not counted: a queue holds at least as many.
   *
   * @throws AgentError `BrokerUnavailable`; the signal's reason
   */
  read(queues: readonly string[], signal: AbortSignal): Promise<Map<string, number>>;
  close(): Promise<void>;
}

const TIMEOUT_MS = 10_000;

/** Channels that ask concurrently. Each asks about one queue at a time, and RabbitMQ closes it over a missing queue. */
const MAX_CHANNELS = 8;

/** Opening a channel costs RabbitMQ more than some answers on it: for few queues one is enough. */
const QUEUES_PER_CHANNEL = 20;

/**
 * Creates the reader. It uses passive declarations, which need no permission on the queue and take 0.1 ms a queue. The
 * management API would list all queues (0.3 s for 10,000) and lags by two seconds with quorum queues. The connection opens
 * on demand and never publishes, so no alarm blocks it.
 */
export function createQueueDepths(options: QueueDepthsOptions): QueueDepths {
  const { id, timeoutMs = TIMEOUT_MS } = options;
  const connection = createOnDemandConnection({ ...options, connectionName: `${id} depths` });
  return {
    async read(queues, signal) {
      signal.throwIfAborted();
      if (queues.length === 0) return new Map();
      const deadline = startDeadline(timeoutMs, signal);
      try {
        return await connection.use((opened) => deadline.race(readDepths(opened, queues, deadline.signal)));
      } catch (error) {
        signal.throwIfAborted();
        // A connection without answers must not be used again.
        if (deadline.passed) await connection.close();
        const { message } = asError(error);
        throw new AgentError('BrokerUnavailable', `Could not read the depth of queues (${message}).`, { cause: error });
      } finally {
        deadline.clear();
      }
    },
    close: () => connection.close(),
  };
}

async function readDepths(
  connection: ChannelModel,
  queues: readonly string[],
  signal: AbortSignal,
): Promise<Map<string, number>> {
  const depths = new Map<string, number>();
  const rest = queues[Symbol.iterator]();
  const readOnOneChannel = async (): Promise<void> => {
    let channel: Channel | undefined;
    for (const queue of rest) {
      if (signal.aborted) break;
      channel ??= await openChannel(connection);
      try {
        const { messageCount } = await channel.checkQueue(queue);
        depths.set(queue, messageCount);
      } catch (error) {
        // The queue is missing, exclusive to another connection, or on a node that is down. The channel is closed.
        if (!isChannelError(error)) throw error;
        channel = undefined;
      }
    }
    await channel?.close();
  };
  await Promise.all(
    Array.from({ length: Math.min(MAX_CHANNELS, Math.ceil(queues.length / QUEUES_PER_CHANNEL)) }, readOnOneChannel),
  );
  return depths;
}

async function openChannel(connection: ChannelModel): Promise<Channel> {
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
