import type { MessageProperties } from 'amqplib';
import { WireError } from '../contract/wire-errors.ts';
import { parseRequestBody } from '../contract/messages.ts';
import { isMethodName, METHODS, type MethodName, type RequestBody } from '../contract/methods.ts';
import { CORRELATION_ID_PATTERN, MAX_REQUEST_BYTES } from '../contract/names.ts';
import { REQUEST_CONTENT_TYPE } from '../contract/signature.ts';

/** A message as the broker delivered it to the request queue. */
export interface Delivery {
  readonly content: Buffer;
  readonly exchange: string;
  readonly routingKey: string;
  readonly redelivered: boolean;
  readonly properties: Partial<MessageProperties>;
}

/** A request whose form is right. */
export interface Request<M extends MethodName = MethodName> {
  readonly method: M;
  readonly body: RequestBody<M>;
  readonly content: Buffer;
  readonly correlationId: string;
  /** As delivered. */
  readonly replyTo: string;
  /** The header as it came; only strings are read further. */
  readonly authorization: unknown;
  /** The RabbitMQ user that sent it, if the sender set `user_id`: the broker refuses a false one. */
  readonly userId: string | undefined;
}

/**
 * Reads a request whose reply address was found good.
 *
 * @throws WireError `InputError` naming the field and the rule.
 */
export function readRequest(delivery: Delivery, replyTo: string): Request {
  const { content, routingKey, properties } = delivery;
  const correlationId: unknown = properties.correlationId;
  if (typeof correlationId !== 'string' || !CORRELATION_ID_PATTERN.test(correlationId)) {
    throw inputError(
      'correlation_id',
      'The property correlation_id must be 1 to 128 printable ASCII characters without spaces.',
    );
  }
  if (!isMethodName(routingKey)) {
    throw unknownMethod();
  }
  if (properties.contentType !== REQUEST_CONTENT_TYPE) {
    throw inputError('content_type', `The property content_type must be ${REQUEST_CONTENT_TYPE}.`);
  }
  if (content.length > MAX_REQUEST_BYTES) {
    throw inputError('body', `The body must be at most ${MAX_REQUEST_BYTES} bytes; it has ${content.length}.`);
  }
  return {
    method: routingKey,
    body: parseRequestBody(routingKey, content),
    content,
    correlationId,
    replyTo,
    authorization: headersOf(delivery)['authorization'],
    userId: typeof properties.userId === 'string' ? properties.userId : undefined,
  };
}

/** The headers of a message; a stranger may send none or something else in their place. */
export function headersOf(delivery: Delivery): Readonly<Record<string, unknown>> {
  const headers: unknown = delivery.properties.headers;
  return typeof headers === 'object' && headers !== null ? (headers as Record<string, unknown>) : {};
}

/** With the methods that there are, so that a client of a later contract knows what it can ask for instead. */
function unknownMethod(): WireError {
  const methods = Object.keys(METHODS);
  return new WireError('InputError', `The method is unknown: the routing key must be one of ${methods.join(', ')}.`, {
    details: { field: 'method', methods },
  });
}

function inputError(field: string, message: string): WireError {
  return new WireError('InputError', message, { details: { field } });
}
