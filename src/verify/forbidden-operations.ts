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
  /** In which vhost it is tried. */
  readonly where: 'tenants' | 'requests';
  /** Rejects, or closes the channel with an error, if RabbitMQ refuses it. */
  readonly attempt: (channel: Channel, target: ForbiddenTarget) => Promise<unknown>;
}

/** Another namespace, whose name begins with this one's. */
const neighbour = ({ namespace }: ForbiddenTarget): string => `${namespace}-neighbour`;

/** None leaves anything behind if it is allowed: queues are exclusive, exchanges are deleted. */
export const FORBIDDEN_OPERATIONS: readonly ForbiddenOperation[] = [
  {
    what: "another namespace's queue",
    where: 'tenants',
    attempt: (channel, target) => channel.assertQueue(`queue/${neighbour(target)}/verify`, { exclusive: true }),
  },
  {
    what: "another namespace's exchange",
    where: 'tenants',
    attempt: async (channel, target) => {
      const name = `exchange/${neighbour(target)}/verify`;
      await channel.assertExchange(name, 'topic', { durable: false, autoDelete: true });
      await channel.deleteExchange(name);
    },
  },
  {
    what: 'reading requests',
    where: 'requests',
    attempt: (channel, { id }) => channel.get(contractNames(id).requestQueue, { noAck: false }),
  },
  {
    what: 'copying requests',
    where: 'requests',
    attempt: async (channel, { id }) => {
      const { unknownMethodsQueue, rpcExchange } = contractNames(id);
      await channel.bindQueue(unknownMethodsQueue, rpcExchange, 'verify');
      await channel.unbindQueue(unknownMethodsQueue, rpcExchange, 'verify');
    },
  },
  {
    what: 'a queue beside the requests',
    where: 'requests',
    attempt: (channel, { namespace }) => channel.assertQueue(`queue/${namespace}/verify`, { exclusive: true }),
  },
  {
    what: 'a binding into the requests',
    where: 'requests',
    attempt: async (channel, { id }) => {
      await channel.bindExchange(contractNames(id).rpcExchange, 'amq.topic', 'verify');
      await channel.unbindExchange(contractNames(id).rpcExchange, 'amq.topic', 'verify');
    },
  },
  {
    what: 'requests from the vhost of the tenants',
    where: 'tenants',
    attempt: async (channel, { id, ownQueue }) => {
      const deadLettering = { 'x-dead-letter-exchange': contractNames(id).rpcExchange };
      await channel.assertQueue(`${ownQueue}-dead-lettering`, { exclusive: true, arguments: deadLettering });
    },
  },
  {
    what: 'reading dead letters',
    where: 'requests',
    attempt: (channel, { id }) => channel.get(contractNames(id).deadQueue, { noAck: false }),
  },
  {
    what: 'publishing agent events',
    where: 'tenants',
    attempt: async (channel, { id }) => {
      channel.publish(contractNames(id).eventsExchange, 'verify', Buffer.from(''));
      // A publish has no reply: if the next call is answered, the broker did not refuse it.
      await channel.checkExchange(contractNames(id).eventsExchange);
    },
  },
];

/** Tries each operation on a channel of its own and resolves with those that were allowed. */
export async function tryForbiddenOperations(
  connections: { readonly tenants: ChannelModel; readonly requests: ChannelModel },
  target: ForbiddenTarget,
): Promise<string[]> {
  const allowed: string[] = [];
  for (const { what, where, attempt } of FORBIDDEN_OPERATIONS) {
    const channel = await connections[where].createChannel();
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
