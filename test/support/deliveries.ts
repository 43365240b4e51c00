import type { MessageProperties } from 'amqplib';
import type { Delivery } from '../../src/requests/request.ts';

/** An address of direct reply-to in form only: tests say themselves whether it is live. */
export const DIRECT_ADDRESS = 'amq.rabbitmq.reply-to.gAAAA.bbbb';

/** What a delivery is made of: an object as content becomes JSON. */
export interface DeliveryInput extends Partial<Omit<Delivery, 'content' | 'properties'>> {
  readonly content?: Buffer | object;
  readonly properties?: Partial<MessageProperties>;
}

/** A good ping over direct reply-to, but for what is given. */
export function deliveryOf({ content = {}, properties, ...given }: DeliveryInput = {}): Delivery {
  return {
    exchange: 'rpc/pulse-agent/v1',
    routingKey: 'ping',
    redelivered: false,
    content: Buffer.isBuffer(content) ? content : Buffer.from(JSON.stringify(content)),
    ...given,
    properties: {
      replyTo: DIRECT_ADDRESS,
      correlationId: 'c-1',
      contentType: 'application/json',
      headers: {},
      ...properties,
    },
  };
}
