import { EventEmitter, once } from 'node:events';
import type { ConsumeMessage } from 'amqplib';
import { EVENT_EXCHANGE, type Headers } from '../../src/broker/amqp/broker-events.ts';
import type { LocalRabbitMQ } from '../../dev/rabbitmq.ts';
import { openConnection } from './broker.ts';

/**
 * Listens to what RabbitMQ tells of itself from now on.
 *
 * @param type as `consumer.created`
 * @returns `told` resolves with the first event of the type that fits.
 */
export async function listenForBrokerEvent(
  broker: LocalRabbitMQ,
  type: string,
  fits: (headers: Headers) => boolean,
): Promise<{ readonly told: Promise<Headers> }> {
  // The event exchange is in the default vhost.
  const channel = await (await openConnection(broker.amqpUrl)).createChannel();
  const { queue } = await channel.assertQueue('', { exclusive: true });
  await channel.bindQueue(queue, EVENT_EXCHANGE, type);
  const events = new EventEmitter();
  const told = once(events, 'told').then(([headers]) => headers as Headers);
  const consume = (message: ConsumeMessage | null): void => {
    const headers: Headers = message?.properties.headers ?? {};
    if (fits(headers)) events.emit('told', headers);
  };
  await channel.consume(queue, consume, { noAck: true });
  return { told };
}
