import type { MessageProperties } from 'amqplib';
import { WireError } from '../contract/wire-errors.ts';
import { parseRequestBody } from '../contract/messages.ts';
import { isMethodName, METHODS, type MethodName, type RequestBody } from '../contract/methods.ts';
import { CORRELATION_ID_PATTERN } from '../contract/names.ts';
import { REQUEST_CONTENT_TYPE } from '../contract/signature.ts';

/** A message as the broker delivered it to the request queue. */
export interface Delivery {
  /** The body; empty when it is larger than the contract allows. */
  readonly content: Buffer;
  /** The size of the body as it was sent. */
  readonly bodyBytes: number;
  readonly exchange: string;
  readonly routingKey: string;
  readonly redelivered: boolean;
  readonly properties: Partial<MessageProperties>;
}

/** A well-formed request. */
export interface Request<M extends MethodName = MethodName> {
  readonly method: M;
  readonly body: RequestBody<M>;
  readonly content: Buffer;
  readonly correlationId: string;
  /** As delivered. */
  readonly replyTo: string;
  /** The header as received. */
  readonly authorization: unknown;
  /** The RabbitMQ user that sent it, if it set `user_id`, which RabbitMQ checks. */
  readonly userId: string | undefined;
}

/**
 * Reads a request whose reply address is usable.
 *
 * @throws WireError `InputError` that names the field and the rule.
 */
export function readRequest(delivery: Delivery, replyTo: string): Request {
  const { content, bodyBytes, routingKey, properties } = delivery;
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
  return {
    method: routingKey,
    body: parseRequestBody(routingKey, content, bodyBytes),
    content,
    correlationId,
    replyTo,
    authorization: headersOf(delivery)['authorization'],
    userId: typeof properties.userId === 'string' ? properties.userId : undefined,
  };
}

/** The headers of a message, which may have none or an invalid value in their place. */
export function headersOf(delivery: Delivery): Readonly<Record<string, unknown>> {
  const headers: unknown = delivery.properties.headers;
  return isTable(headers) ? (headers as Record<string, unknown>) : {};
}

/**
 * Whether RabbitMQ moved the message from another queue by dead-lettering: it then has an `x-death` header, a list of
 * tables, in place of any other that the sender wrote.
 */
export function isDeadLettered(delivery: Delivery): boolean {
  const deaths = headersOf(delivery)['x-death'];
  return (
    Array.isArray(deaths) && deaths.some((death: unknown) => isTable(death) && 'queue' in death && 'reason' in death)
  );
}

function isTable(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}

/** Lists the methods, so that a client of a later contract knows which ones this agent serves. */
function unknownMethod(): WireError {
  const methods = Object.keys(METHODS);
  return new WireError('InputError', `The method is unknown: the routing key must be one of ${methods.join(', ')}.`, {
    details: { field: 'method', methods },
  });
}

function inputError(field: string, message: string): WireError {
  return new WireError('InputError', message, { details: { field } });
}
