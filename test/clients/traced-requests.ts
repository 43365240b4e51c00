import { readAuthorization } from '../../src/contract/signature.ts';
import type { TestInstallation } from '../support/agent.ts';
import { manage, openConnection } from '../support/broker.ts';
import { createCondition } from '../support/condition.ts';

/** A request as RabbitMQ got it. */
export interface TracedRequest {
  readonly method: string;
  readonly correlationId: string;
  readonly body: Readonly<Record<string, unknown>>;
  /** Of a signed request. */
  readonly nonce: string | undefined;
  readonly replyKey: string | undefined;
  readonly seenMs: number;
  /** How many replies RabbitMQ had got before. */
  readonly repliesBefore: number;
}

/** A reply as RabbitMQ got it. */
export interface TracedReply {
  readonly correlationId: string;
  /** `result` or `error`. */
  readonly type: string;
  readonly text: string;
}

/** All messages that are published in the vhost of the requests: RabbitMQ's firehose shows them. */
export interface Trace {
  readonly requests: readonly TracedRequest[];
  readonly replies: readonly TracedReply[];
  /** Waits until `find` finds something. */
  until<Found>(find: () => Found | undefined, failure: () => string): Promise<Found>;
}

interface TracedProperties {
  readonly headers?: Readonly<Record<string, unknown>>;
  readonly correlation_id?: string;
  readonly type?: string;
}

/** Traces the requests of an installation until the end of the test, or of the run. */
export async function traceRequests({ broker, vhost, names }: TestInstallation): Promise<Trace> {
  await manage(broker, 'PUT', `/vhosts/${encodeURIComponent(vhost.requestVhost)}`, { tracing: true });
  const channel = await (await openConnection(vhost.requestUrl)).createChannel();
  const { queue } = await channel.assertQueue('', { exclusive: true });
  await channel.bindQueue(queue, 'amq.rabbitmq.trace', 'publish.#');
  const condition = createCondition();
  const requests: TracedRequest[] = [];
  const replies: TracedReply[] = [];
  await channel.consume(
    queue,
    (message) => {
      if (message === null) return;
      const { exchange_name: exchange, routing_keys: keys, properties } = message.properties.headers ?? {};
      const method = String((keys as unknown[])[0]);
      if (exchange === names.rpcExchange) {
        requests.push({ ...requestOf(method, message.content, properties), repliesBefore: replies.length });
      } else {
        const { correlation_id: correlationId = '', type = '' } = properties as TracedProperties;
        replies.push({ correlationId, type, text: message.content.toString() });
      }
      condition.notify();
    },
    { noAck: true },
  );
  return { requests, replies, until: (find, failure) => condition.wait(find, { failure }) };
}

function requestOf(
  method: string,
  content: Buffer,
  { headers, correlation_id }: TracedProperties,
): Omit<TracedRequest, 'repliesBefore'> {
  const body = JSON.parse(content.toString()) as Record<string, unknown>;
  const authorization = headers?.['authorization'];
  return {
    method,
    body,
    correlationId: correlation_id ?? '',
    nonce: authorization === undefined ? undefined : readAuthorization(authorization).nonce,
    replyKey: (body['replyKey'] as { readonly x?: string } | undefined)?.x,
    seenMs: Date.now(),
  };
}
