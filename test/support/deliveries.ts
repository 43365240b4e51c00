import type { MessageProperties } from 'amqplib';
import type { Delivery } from '../../src/requests/request.ts';

/** Looks like a direct reply-to address; each test decides whether it is live. */
export const DIRECT_ADDRESS = 'amq.rabbitmq.reply-to.gAAAA.bbbb';

/** The parts of a delivery that a test changes; an object as content becomes JSON. */
export interface DeliveryInput extends Partial<Omit<Delivery, 'content' | 'properties'>> {
  readonly content?: Buffer | object;
  readonly properties?: Partial<MessageProperties>;
}

/** A valid ping over direct reply-to, except for what is given. */
export function deliveryOf({ content = {}, properties, ...given }: DeliveryInput = {}): Delivery {
  const body = Buffer.isBuffer(content) ? content : Buffer.from(JSON.stringify(content));
  return {
    exchange: 'rpc/pulse-agent/v1',
    routingKey: 'ping',
    redelivered: false,
    content: body,
    bodyBytes: body.length,
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
