import type { ConsumeMessage } from 'amqplib';
import { EVENT_EXCHANGE, type Headers } from '../../src/broker/amqp/broker-events.ts';
import type { LocalRabbitMQ } from '../../dev/rabbitmq.ts';
import { openConnection } from './broker.ts';

/**
 * Listens for a broker event from now on.
 *
 * @param type for example `consumer.created`
 * @returns `received` resolves with the headers of the first event of this type that fits
 */
export async function listenForBrokerEvent(
  broker: LocalRabbitMQ,
  type: string,
  fits: (headers: Headers) => boolean,
): Promise<{ readonly received: Promise<Headers> }> {
  // The event exchange is in the default vhost.
  const channel = await (await openConnection(broker.amqpUrl)).createChannel();
  const { queue } = await channel.assertQueue('', { exclusive: true });
  await channel.bindQueue(queue, EVENT_EXCHANGE, type);
  let receive: (headers: Headers) => void;
  const received = new Promise<Headers>((resolve) => (receive = resolve));
  const consume = (message: ConsumeMessage | null): void => {
    const headers: Headers = message?.properties.headers ?? {};
    if (fits(headers)) receive(headers);
  };
  await channel.consume(queue, consume, { noAck: true });
  return { received };
}
