import { keepConnection } from './kept-connection.ts';
import { ofAccount, ofObject } from './leftover-watch.ts';
import type { RunContext } from './run-context.ts';
import { Violation } from './violation.ts';
import { AGENT_USER, ID, REQUEST_VHOST } from './settings.ts';

/** What a broker event says. */
export interface BrokerEvent {
  readonly type: string;
  readonly headers: Readonly<Record<string, unknown>>;
}

/** The kinds of events about what an agent may create, change and delete. */
const KINDS = [
  'user',
  'permission',
  'topic.permission',
  'queue',
  'exchange',
  'binding',
  'policy',
  'vhost',
  'parameter',
];

const EVENT_EXCHANGE = 'amq.rabbitmq.event';

/**
 * What an agent changed outside of its prefixes; undefined: nothing. Names of its own contain its id.
 *
 * @example
 * foreignChange({ type: 'queue.deleted', headers: { user_who_performed_action: 'soak-agent', name: 'their/queue' } });
 */
export function foreignChange({ type, headers }: BrokerEvent): string | undefined {
  if (headers['user_who_performed_action'] !== AGENT_USER || headers['vhost'] === REQUEST_VHOST) return undefined;
  const named = type.startsWith('binding.')
    ? [headers['source_name'], headers['destination_name']]
    : [headers['user'] ?? headers['name']];
  const names = named.filter((name): name is string => typeof name === 'string' && name !== '');
  // The agent's account gets permissions in the vhost of the requests, which the event of the user does not name.
  const isOwn = (name: string): boolean =>
    ofAccount(name) !== undefined ||
    ofObject(name) !== undefined ||
    name.includes(ID) ||
    name === REQUEST_VHOST ||
    (name === AGENT_USER && type.startsWith('permission.')) ||
    (name === EVENT_EXCHANGE && type.startsWith('binding.'));
  const foreign = names.filter((name) => !isOwn(name));
  return foreign.length === 0 ? undefined : `${type} of ${foreign.join(', ')}`;
}

/** Listens to RabbitMQ: the agent may touch nothing outside its prefixes, and deletes only queues that have overgrown. */
export async function watchBrokerEvents(context: RunContext, signal: AbortSignal): Promise<void> {
  const { world, figures, report, ledger, overgrown, deletedQueues } = context;
  const take = (event: BrokerEvent): void => {
    figures.count('broker events');
    const foreign = foreignChange(event);
    if (foreign !== undefined) report(new Violation('prefixes', `The agent made ${foreign}.`, [foreign]));
    const { name, timestamp_in_ms: atMs } = event.headers;
    if (event.type !== 'queue.deleted' || event.headers['user_who_performed_action'] !== AGENT_USER) return;
    const namespace = typeof name === 'string' ? ofObject(name) : undefined;
    if (typeof name !== 'string' || namespace === undefined || typeof atMs !== 'number') return;
    // While its credentials are promised, a namespace is not being deleted.
    if (!ledger.isPromised(namespace, atMs)) return;
    if (overgrown.has(name)) deletedQueues.add(name);
    else report(new Violation('queues', `The agent deleted ${name}, which had not overgrown.`, [name, namespace]));
  };
  await keepConnection(
    world.adminUrl,
    async (connection) => {
      const channel = await connection.createChannel();
      const { queue } = await channel.assertQueue('', { exclusive: true });
      for (const kind of KINDS) await channel.bindQueue(queue, EVENT_EXCHANGE, `${kind}.*`);
      await channel.consume(
        queue,
        (message) => {
          if (message === null) return;
          take({ type: message.fields.routingKey, headers: message.properties.headers ?? {} });
        },
        { noAck: true },
      );
    },
    signal,
  );
}
