import { once } from 'node:events';
import type { ChannelModel } from 'amqplib';
import { closeRpcConnection } from '../client/amqp-connection.ts';
import { watchAlarm } from '../client/broker-alarm.ts';
import { ok, type Step, type StepResult, warning } from './step.ts';

/** The default of RabbitMQ 4 for `max_message_size`, in bytes; before it was 128 MiB. */
export const RECOMMENDED_MESSAGE_BYTES = 16 * 2 ** 20;

/** What the step for the largest message uses. */
interface MessageSizeOptions {
  /** Connects as the agent to the vhost of the requests, where it may write to the default exchange. */
  readonly connect: () => Promise<ChannelModel>;
  /** The name of a queue that does not exist: RabbitMQ drops the message that it takes. */
  readonly missingQueue: string;
}

/** Checks whether RabbitMQ takes messages that are larger than recommended. Its management API does not show the limit. */
export function messageSizeStep({ connect, missingQueue }: MessageSizeOptions): Step {
  return {
    name: 'message-size',
    about: 'the largest message',
    needs: ['topology'],
    async run() {
      const connection = await connect();
      try {
        const taken = takesMessage(connection, missingQueue, RECOMMENDED_MESSAGE_BYTES + 1);
        return checkMessageSize(await watchAlarm(connection).race(taken));
      } finally {
        await closeRpcConnection(connection);
      }
    },
  };
}

export function checkMessageSize(takesLarger: boolean): StepResult {
  const limit = `${RECOMMENDED_MESSAGE_BYTES / 2 ** 20} MiB`;
  if (!takesLarger) return ok(`RabbitMQ refuses messages of more than ${limit}`);
  return warning(
    `RabbitMQ takes messages of more than ${limit}`,
    `Set "max_message_size = ${RECOMMENDED_MESSAGE_BYTES}" in rabbitmq.conf: few large messages fill the memory and the disk before anything counts them.`,
  );
}

/**
 * Whether RabbitMQ takes a message of this size. It refuses a larger one by closing the channel.
 *
 * @param bytes the size of its body
 */
export async function takesMessage(connection: ChannelModel, queue: string, bytes: number): Promise<boolean> {
  const channel = await connection.createConfirmChannel();
  const refused = once(channel, 'error').then(([error]: unknown[]) => {
    // PRECONDITION_FAILED
    if ((error as { code?: unknown }).code === 406) return false;
    throw error;
  });
  refused.catch(() => undefined);
  channel.sendToQueue(queue, Buffer.alloc(bytes));
  const confirmed = channel.waitForConfirms().then(() => true);
  confirmed.catch(() => undefined);
  const isTaken = await Promise.race([confirmed.catch(() => refused), refused]);
  if (isTaken) await channel.close();
  return isTaken;
}
