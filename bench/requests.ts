import { randomUUID } from 'node:crypto';
import { type Channel, connect, type ConsumeMessage } from 'amqplib';
import type { MethodName } from '../src/contract/methods.ts';
import { contractNames, DIRECT_REPLY_TO } from '../src/contract/names.ts';
import { signRequest } from '../src/contract/signature.ts';
import type { Site } from './site.ts';

/** The default, which the agents of the benchmark have. */
export const AUDIENCE = 'pulse-agent';

/** A message that is signed before the measurement. */
export interface Prepared {
  readonly exchange: string;
  readonly routingKey: string;
  readonly content: Buffer;
  readonly correlationId: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** Sends prepared messages and waits for their replies. */
export interface Requester {
  send(message: Prepared | undefined): Promise<ConsumeMessage>;
  close(): Promise<void>;
}

/** Opens a requester on its own connection. */
export async function openRequester(url: string): Promise<Requester> {
  const connection = await connect(url, { noDelay: true });
  const channel: Channel = await connection.createChannel();
  const waiting = new Map<string, (message: ConsumeMessage) => void>();
  await channel.consume(
    DIRECT_REPLY_TO,
    (message) => {
      if (message !== null) waiting.get(String(message.properties.correlationId))?.(message);
    },
    { noAck: true },
  );
  return {
    send: (message) =>
      new Promise((resolve) => {
        if (message === undefined) throw new RangeError('Not enough messages were prepared.');
        const { exchange, routingKey, content, correlationId, headers } = message;
        waiting.set(correlationId, (reply) => {
          waiting.delete(correlationId);
          resolve(reply);
        });
        channel.publish(exchange, routingKey, content, {
          correlationId,
          headers,
          replyTo: DIRECT_REPLY_TO,
          contentType: 'application/json',
          persistent: true,
        });
      }),
    close: () => connection.close(),
  };
}

/** Signs a request to the agents of the site. */
export function prepareRequest({ names, credentials }: Site, method: MethodName, body: object): Prepared {
  const content = Buffer.from(JSON.stringify(body));
  const correlationId = randomUUID();
  const headers = signRequest({
    method,
    body: content,
    replyTo: DIRECT_REPLY_TO,
    correlationId,
    audience: AUDIENCE,
    credentials,
  });
  const exchange = contractNames(names.id).rpcExchange;
  return { exchange, routingKey: method, content, correlationId, headers: { ...headers } };
}

/** Makes a message for the echo process, as long as a claim. */
export function prepareEcho(queue: string): Prepared {
  const content = Buffer.from(JSON.stringify({ namespace: 'taskcluster-echo', padding: 'x'.repeat(80) }));
  return {
    exchange: '',
    routingKey: queue,
    content,
    correlationId: randomUUID(),
    headers: { authorization: 'x'.repeat(250) },
  };
}

/** Throws when a reply is an error: a refusal would be too fast. */
export function assertResult(reply: ConsumeMessage): void {
  if (reply.properties.type !== 'result') throw new Error(`The agent answered ${reply.content.toString()}`);
}
