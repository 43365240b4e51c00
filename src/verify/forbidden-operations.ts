import type { Channel, ChannelModel } from 'amqplib';
import { contractNames } from '../contract/names.ts';

/** The account that must be refused. */
export interface ForbiddenTarget {
  /** The agent's id. */
  readonly id: string;
  /** The namespace of the account. */
  readonly namespace: string;
  /** A queue of that namespace. */
  readonly ownQueue: string;
}

/** An operation that RabbitMQ must refuse to a claimed account. */
interface ForbiddenOperation {
  readonly what: string;
  /** Rejects, or closes the channel with an error, if RabbitMQ refuses it. */
  readonly attempt: (channel: Channel, target: ForbiddenTarget) => Promise<unknown>;
}

/** Another namespace, whose name begins with this one's. */
const neighbour = ({ namespace }: ForbiddenTarget): string => `${namespace}-neighbour`;

/** None leaves anything behind if it is allowed: queues are exclusive, exchanges are deleted. */
export const FORBIDDEN_OPERATIONS: readonly ForbiddenOperation[] = [
  {
    what: "another namespace's queue",
    attempt: (channel, target) => channel.assertQueue(`queue/${neighbour(target)}/verify`, { exclusive: true }),
  },
  {
    what: "another namespace's exchange",
    attempt: async (channel, target) => {
      const name = `exchange/${neighbour(target)}/verify`;
      await channel.assertExchange(name, 'topic', { durable: false, autoDelete: true });
      await channel.deleteExchange(name);
    },
  },
  {
    what: 'reading requests',
    attempt: (channel, { id }) => channel.get(contractNames(id).requestQueue, { noAck: false }),
  },
  {
    what: 'copying requests',
    attempt: async (channel, { id, ownQueue }) => {
      await channel.bindQueue(ownQueue, contractNames(id).rpcExchange, 'ping');
      await channel.unbindQueue(ownQueue, contractNames(id).rpcExchange, 'ping');
    },
  },
  {
    what: 'reading dead letters',
    attempt: (channel, { id }) => channel.get(contractNames(id).deadQueue, { noAck: false }),
  },
  {
    what: 'publishing agent events',
    attempt: async (channel, { id }) => {
      channel.publish(contractNames(id).eventsExchange, 'verify', Buffer.from(''));
      // A publish has no reply: if the next call is answered, the broker did not refuse it.
      await channel.checkExchange(contractNames(id).eventsExchange);
    },
  },
];

/** Tries each operation on a channel of its own and resolves with those that were allowed. */
export async function tryForbiddenOperations(connection: ChannelModel, target: ForbiddenTarget): Promise<string[]> {
  const allowed: string[] = [];
  for (const { what, attempt } of FORBIDDEN_OPERATIONS) {
    const channel = await connection.createChannel();
    // A refusal closes the channel with an error event.
    const refused = new Promise<never>((_resolve, reject) => {
      channel.on('error', reject);
    });
    refused.catch(() => undefined);
    try {
      await Promise.race([attempt(channel, target), refused]);
      allowed.push(what);
      await channel.close();
    } catch (error) {
      if (!isRefusal(error)) throw error;
    }
  }
  return allowed;
}

function isRefusal(error: unknown): boolean {
  return error instanceof Error && /ACCESS[-_]REFUSED/.test(error.message);
}
