import { readFileSync } from 'node:fs';
import type { ConfirmChannel } from 'amqplib';
import { EVENT_EXCHANGE, type Headers } from '../../src/broker/amqp/broker-events.ts';
import type { LocalRabbitMQ } from '../../dev/rabbitmq.ts';
import type { TestInstallation } from './agent.ts';
import { createVhost, manage, openConnection } from './broker.ts';

/** An event as a broker sent it. */
export interface SentEvent {
  readonly routingKey: string;
  readonly headers: Headers;
}

/** A vhost with an event exchange in it that a test publishes to: the broker's own takes nothing from clients. */
export interface EventExchange {
  /** For the setting `eventVhost`. */
  readonly vhost: string;
  /** Lets the agent of an installation consume there. */
  open(installation: TestInstallation): Promise<void>;
  /** Publishes these events, in this order; resolves when the broker has them all. */
  publish(events: readonly SentEvent[]): Promise<void>;
  /** How many wait in the agent's queue, those aside that it holds. */
  waiting(installation: TestInstallation): Promise<number>;
}

/** Makes one. */
export async function makeEventExchange(broker: LocalRabbitMQ): Promise<EventExchange> {
  const { vhost, amqpUrl } = await createVhost(broker);
  const inVhost = encodeURIComponent(vhost);
  // No client may declare one under such a name.
  const name = `{resource, <<"${vhost}">>, exchange, <<"${EVENT_EXCHANGE}">>}`;
  await broker.rabbitmqctl(['eval', `rabbit_exchange:declare(${name}, topic, true, false, false, [], <<"test">>).`]);
  const channel: ConfirmChannel = await (await openConnection(amqpUrl)).createConfirmChannel();
  return {
    vhost,
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
    waiting: async ({ names }) => (await channel.checkQueue(names.brokerEventsQueue)).messageCount,
  };
}

/** What brokers of these versions sent. */
const SENT = { '3.10.8': read('3.10.8'), '4.0.5': read('4.0.5') };

function read(version: string): SentEvent[] {
  const file = new URL(`../data/broker-events-${version}.json`, import.meta.url);
  return JSON.parse(readFileSync(file, 'utf8')) as SentEvent[];
}

/** A real event of this type, told about something else. */
export function eventAbout(version: keyof typeof SENT, routingKey: string, about: Headers): SentEvent {
  const sample = SENT[version].find((event) => event.routingKey === routingKey);
  if (sample === undefined) throw new Error(`RabbitMQ ${version} sent no ${routingKey}.`);
  return { routingKey, headers: { ...sample.headers, ...about } };
}
