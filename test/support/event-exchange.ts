import { readFileSync } from 'node:fs';
import type { ConfirmChannel } from 'amqplib';
import { EVENT_EXCHANGE, type Headers } from '../../src/broker/amqp/broker-events.ts';
import type { LocalRabbitMQ } from '../../dev/rabbitmq.ts';
import type { TestInstallation } from './agent.ts';
import { createVhost, manage, openConnection } from './broker.ts';
import { addCleanup } from './cleanup.ts';

/** An event as a broker sent it. */
export interface SentEvent {
  readonly routingKey: string;
  readonly headers: Headers;
}

/** A vhost with an event exchange to which a test publishes: the broker's own accepts no messages from clients. */
export interface EventExchange {
  /** For the setting `eventVhost`. */
  readonly vhost: string;
  /** Of a user who may do everything in the vhost. */
  readonly amqpUrl: string;
  /** Permits the agent of an installation to consume from it. */
  open(installation: TestInstallation): Promise<void>;
  /** Publishes these events in order; resolves when the broker has them. */
  publish(events: readonly SentEvent[]): Promise<void>;
  /** How many are ready in the agent's queue; unacknowledged ones do not count. */
  waiting(installation: TestInstallation): Promise<number>;
}

/**
 * RabbitMQ takes the end of the last binding of any exchange with this name, in any vhost, for the end of the last one of
 * its own, and sends no events from then on until that gets a first binding.
 */
async function resumeBrokerEvents(broker: LocalRabbitMQ): Promise<void> {
  if (!broker.running()) return;
  await broker.rabbitmqctl(['eval', 'rabbit_event ! {event_exchange, added_first_binding}.']);
}

/**
 * Makes RabbitMQ send no events any more, as an operator does by accident who changes `event_exchange.vhost` and removes
 * what was bound to the exchange in the vhost before.
 *
 * @returns what makes it send them again
 */
export async function silenceBrokerEvents(broker: LocalRabbitMQ): Promise<() => Promise<void>> {
  const { amqpUrl } = await makeEventExchange(broker);
  const channel = await (await openConnection(amqpUrl)).createChannel();
  const { queue } = await channel.assertQueue('', { exclusive: true });
  await channel.bindQueue(queue, EVENT_EXCHANGE, '#');
  await channel.unbindQueue(queue, EVENT_EXCHANGE, '#');
  return () => resumeBrokerEvents(broker);
}

/** Creates the vhost and its event exchange. */
export async function makeEventExchange(broker: LocalRabbitMQ): Promise<EventExchange> {
  // Runs after the vhost is deleted.
  addCleanup(() => resumeBrokerEvents(broker));
  const { vhost, amqpUrl } = await createVhost(broker);
  const inVhost = encodeURIComponent(vhost);
  // Clients may not declare exchanges named `amq.…`.
  const name = `{resource, <<"${vhost}">>, exchange, <<"${EVENT_EXCHANGE}">>}`;
  await broker.rabbitmqctl(['eval', `rabbit_exchange:declare(${name}, topic, true, false, false, [], <<"test">>).`]);
  const channel: ConfirmChannel = await (await openConnection(amqpUrl)).createConfirmChannel();
  return {
    vhost,
    amqpUrl,
    async open({ vhost: { user } }) {
      const everything = { configure: '.*', write: '.*', read: '.*' };
      await manage(broker, 'PUT', `/permissions/${inVhost}/${user}`, everything);
    },
    async publish(events) {
      for (const { routingKey, headers } of events) {
        channel.publish(EVENT_EXCHANGE, routingKey, Buffer.alloc(0), { persistent: true, headers });
      }
      await channel.waitForConfirms();
    },
    async waiting({ names }) {
      const queues = [names.brokerEventsQueue, names.tenantEventsQueue];
      const counts = await Promise.all(queues.map(async (queue) => (await channel.checkQueue(queue)).messageCount));
      return counts.reduce((sum, count) => sum + count, 0);
    },
  };
}

/** Recorded events of brokers of these versions. */
const SENT = { '3.10.8': read('3.10.8'), '4.0.5': read('4.0.5') };

function read(version: string): SentEvent[] {
  const file = new URL(`../data/broker-events-${version}.json`, import.meta.url);
  return JSON.parse(readFileSync(file, 'utf8')) as SentEvent[];
}

/** A recorded event of this type with some headers replaced. */
export function eventAbout(version: keyof typeof SENT, routingKey: string, about: Headers): SentEvent {
  const sample = SENT[version].find((event) => event.routingKey === routingKey);
  if (sample === undefined) throw new Error(`RabbitMQ ${version} sent no ${routingKey}.`);
  return { routingKey, headers: { ...sample.headers, ...about } };
}
