import type { Channel, ChannelModel } from 'amqplib';
import { contractNames } from '../contract/names.ts';

/** Where something is tried that must be refused. */
export interface ForbiddenTarget {
  /** The agent's id. */
  readonly id: string;
  /** The namespace that the credentials are of. */
  readonly namespace: string;
  /** A queue of that namespace. */
  readonly ownQueue: string;
}

/** Something that RabbitMQ must not let a claimed account do. */
interface ForbiddenOperation {
  readonly what: string;
  /** Rejects, or closes the channel with an error, when it is refused. */
  readonly attempt: (channel: Channel, place: ForbiddenTarget) => Promise<unknown>;
}

/** A neighbour's name: what begins with a namespace's name is not its own. */
const foreign = ({ namespace }: ForbiddenTarget): string => `${namespace}-neighbour`;

/** What is tried. Nothing is left even if it is allowed: queues are exclusive, exchanges delete themselves. */
export const FORBIDDEN_OPERATIONS: readonly ForbiddenOperation[] = [
  {
    what: "another namespace's queue",
    attempt: (channel, place) => channel.assertQueue(`queue/${foreign(place)}/verify`, { exclusive: true }),
  },
  {
    what: "another namespace's exchange",
    attempt: async (channel, place) => {
      const name = `exchange/${foreign(place)}/verify`;
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
      // The broker refuses without being asked for an answer: an answer to something later shows that it did not.
      await channel.checkExchange(contractNames(id).eventsExchange);
    },
  },
];

/** Tries it all, each on a channel of its own, and resolves with what was allowed. */
export async function tryForbiddenOperations(connection: ChannelModel, place: ForbiddenTarget): Promise<string[]> {
  const allowed: string[] = [];
  for (const { what, attempt } of FORBIDDEN_OPERATIONS) {
    const channel = await connection.createChannel();
    // A refusal closes the channel, and would end the process if nobody listened.
    const refused = new Promise<never>((_resolve, reject) => {
      channel.on('error', reject);
    });
    refused.catch(() => undefined);
    try {
      await Promise.race([attempt(channel, place), refused]);
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
