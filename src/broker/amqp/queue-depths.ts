import type { Channel, ChannelModel } from 'amqplib';
import { AgentError } from '../../util/agent-errors.ts';
import { startDeadline } from '../../util/deadline.ts';
import type { Secret } from '../../util/secret.ts';
import { createOnDemandConnection } from './on-demand-connection.ts';

/** What {@link createQueueDepths} needs. */
export interface QueueDepthsOptions {
  /** The agent's own account; its path is the vhost. */
  readonly amqpUrl: Secret;
  readonly id: string;
  /** How long one call may take, in ms; ten seconds when absent. */
  readonly timeoutMs?: number;
  /** Certificates to trust, in PEM, instead of the system's. */
  readonly ca?: string | undefined;
}

/** Looks at single queues. */
export interface QueueDepths {
  /**
   * How many messages of each of these queues are ready, a few ms ago; queues that are not there are not in the answer.
   * What consumers hold and have not acknowledged is not counted: there are at least so many.
   *
   * @throws AgentError `BrokerUnavailable`; the signal's reason
   */
  read(queues: readonly string[], signal: AbortSignal): Promise<Map<string, number>>;
  close(): Promise<void>;
}

const TIMEOUT_MS = 10_000;

/** So many channels: one waits for its answer before it asks again, and a queue that is missing costs it its life. */
const CHANNELS = 8;

/**
 * Makes it. It asks by passive declaration, for which the agent needs no right on the queue: 0.1 ms a queue and fresh,
 * where the management API builds a listing of all queues (0.3 s for 10,000), filters it, and lags by two seconds with
 * quorum queues. The connection is opened when it is needed; it never publishes, so no alarm blocks it.
 */
export function createQueueDepths(settings: QueueDepthsOptions): QueueDepths {
  const { amqpUrl, id, timeoutMs = TIMEOUT_MS, ca } = settings;
  const connection = createOnDemandConnection({ amqpUrl, connectionName: `${id} depths`, ca });
  return {
    async read(queues, signal) {
      signal.throwIfAborted();
      if (queues.length === 0) return new Map();
      const deadline = startDeadline(timeoutMs, signal);
      try {
        return await connection.use((opened) => deadline.race(readOver(opened, queues, deadline.signal)));
      } catch (error) {
        signal.throwIfAborted();
        // What never answers must not be used again.
        if (deadline.passed) await connection.close();
        const reason = deadline.passed
          ? `no answer within ${timeoutMs} ms`
          : error instanceof Error
            ? error.message
            : String(error);
        throw new AgentError('BrokerUnavailable', `RabbitMQ does not tell how deep a queue is (${reason}).`);
      } finally {
        deadline.clear();
      }
    },
    close: () => connection.close(),
  };
}

async function readOver(
  connection: ChannelModel,
  queues: readonly string[],
  signal: AbortSignal,
): Promise<Map<string, number>> {
  const found = new Map<string, number>();
  const rest = queues[Symbol.iterator]();
  const lane = async (): Promise<void> => {
    let channel: Channel | undefined;
    for (const queue of rest) {
      if (signal.aborted) break;
      channel ??= await openChannel(connection);
      try {
        const { messageCount } = await channel.checkQueue(queue);
        found.set(queue, messageCount);
      } catch (error) {
        // It is missing, or exclusive to somebody, or its node is down: nothing is known of it. The channel is closed.
        if (!isChannelFault(error)) throw error;
        channel = undefined;
      }
    }
    await channel?.close();
  };
  await Promise.all(Array.from({ length: Math.min(CHANNELS, queues.length) }, lane));
  return found;
}

async function openChannel(connection: ChannelModel): Promise<Channel> {
  const channel = await connection.createChannel();
  // Without a listener an error ends the process; who waits for an answer gets it, too.
  channel.on('error', () => undefined);
  return channel;
}

/** RabbitMQ closed the channel over one queue, with a code such as 404; the connection lives. */
function isChannelFault(error: unknown): boolean {
  return (
    error instanceof Error &&
    'code' in error &&
    typeof error.code === 'number' &&
    'methodId' in error &&
    error.message.startsWith('Operation failed')
  );
}
