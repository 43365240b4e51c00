import { WIRE_ERRORS, WireError, type WireErrorCode } from '../../src/contract/wire-errors.ts';
import { METHODS, type MethodName } from '../../src/contract/methods.ts';
import { CORRELATION_ID_PATTERN, DIRECT_REPLY_TO } from '../../src/contract/names.ts';
import { errorBody, JSON_CONTENT_TYPE, SEALED_CONTENT_TYPE } from '../../src/contract/reply.ts';
import { MAX_AUTHORIZATION_LENGTH, REQUEST_CONTENT_TYPE, signRequest } from '../../src/contract/signature.ts';
import {
  exampleOf,
  type JsonSchema,
  type Part,
  type SchemaComponents,
  toJsonSchema,
  toReaderSchema,
} from './schemas.ts';

const EXAMPLE_CORRELATION_ID = '8d1f6c5e-1f0e-4d5c-9d4f-3f6f3c2b1a00';

/** JSON Schema cannot describe a compact JWE further. */
const SEALED_SCHEMA: JsonSchema = {
  type: 'string',
  description:
    'A compact JWE for the replyKey of the request: alg ECDH-ES, enc A256GCM. Its plaintext is the JSON of the result.',
  pattern: '^[A-Za-z0-9_-]+\\.\\.[A-Za-z0-9_-]+\\.[A-Za-z0-9_-]+\\.[A-Za-z0-9_-]+$',
};

/** The request of a method. */
export function requestMessage(method: MethodName, schemas: SchemaComponents): Part {
  const payload = toJsonSchema(METHODS[method].body, schemas);
  const body = exampleOf(payload, schemas) as Part;
  const headers = exampleHeaders(method, body);
  return {
    name: method,
    title: `${method} request`,
    contentType: REQUEST_CONTENT_TYPE,
    correlationId: { $ref: '#/components/correlationIds/correlationId' },
    headers: requestHeaders(METHODS[method].signed),
    payload,
    examples: [{ name: method, headers, payload: body }],
  };
}

/** A request with an unknown method. */
export function otherMessage(): Part {
  return {
    name: 'other',
    title: 'Request with an unknown method',
    contentType: REQUEST_CONTENT_TYPE,
    correlationId: { $ref: '#/components/correlationIds/correlationId' },
    headers: requestHeaders(false),
    payload: { description: 'Anything; the agent does not read it.' },
  };
}

function requestHeaders(signed: boolean): JsonSchema {
  return {
    type: 'object',
    required: ['replyTo', 'correlationId', ...(signed ? ['authorization'] : [])],
    properties: {
      replyTo: {
        type: 'string',
        description: `The AMQP property reply_to, not a header: ${DIRECT_REPLY_TO}, which the broker replaces by a generated address. With anything else the request gets no answer.`,
        examples: [DIRECT_REPLY_TO],
      },
      correlationId: correlationIdProperty('the reply has the same one.'),
      userId: {
        type: 'string',
        description:
          'The optional AMQP property user_id, not a header: the RabbitMQ user that sends the request. The broker refuses a wrong one.',
        examples: ['pulse-agent-claimant'],
      },
      authorization: {
        type: 'string',
        maxLength: MAX_AUTHORIZATION_LENGTH,
        description: `The Hawk signature over method, reply_to, correlation_id and the exact bytes of the body. ${signed ? 'Required.' : 'Optional for this method.'}`,
        examples: [sign('ping', '{}')],
      },
    },
  };
}

function correlationIdProperty(use: string): JsonSchema {
  return {
    type: 'string',
    pattern: CORRELATION_ID_PATTERN.source,
    description: `The AMQP property correlation_id, not a header: 1 to 128 printable ASCII characters without spaces; ${use}`,
    examples: [EXAMPLE_CORRELATION_ID],
  };
}

const EXAMPLE_PROPERTIES = { replyTo: DIRECT_REPLY_TO, correlationId: EXAMPLE_CORRELATION_ID };

function exampleHeaders(method: MethodName, body: Part): Part {
  if (!METHODS[method].signed) return EXAMPLE_PROPERTIES;
  return { ...EXAMPLE_PROPERTIES, authorization: sign(method, JSON.stringify(body)) };
}

/** Signs with the client, the time and the nonce of `protocol-vectors.json`, so that the document is reproducible. */
function sign(method: MethodName, body: string): string {
  return signRequest({
    method,
    body: Buffer.from(body),
    ...EXAMPLE_PROPERTIES,
    audience: 'pulse-agent',
    credentials: { clientId: 'project/builds/worker', accessToken: 'example-access-token-AAAAAAAAAAAAAAAAAAAAAAAAA' },
    timestampSeconds: 1_795_521_600,
    nonce: 'bm9uY2Utb2YtMTYtYg',
  }).authorization;
}

/** The plain result of a method. */
export function resultMessage(method: MethodName, schemas: SchemaComponents): Part {
  const payload = toReaderSchema(METHODS[method].result, schemas);
  return {
    ...reply('result', JSON_CONTENT_TYPE),
    name: `${method}-result`,
    title: `Result of ${method}`,
    payload,
    examples: [{ name: method, headers: replyExample(), payload: exampleOf(payload, schemas) }],
  };
}

/** The sealed result of a method. */
export function sealedMessage(method: MethodName): Part {
  return {
    ...reply('result', SEALED_CONTENT_TYPE),
    name: `${method}-sealed-result`,
    title: `Sealed result of ${method}`,
    summary: 'Replaces the plain result when the request has a replyKey.',
    payload: SEALED_SCHEMA,
  };
}

/** The error that any request may get, with all codes. */
export function errorMessage(schemas: SchemaComponents): Part {
  const payload = toReaderSchema(errorBody, schemas);
  return {
    ...reply('error', JSON_CONTENT_TYPE),
    name: 'error',
    title: 'Error',
    summary: 'Why a request failed. Handle an unknown code according to its retryable.',
    payload,
    'x-errors': WIRE_ERRORS,
    examples: (Object.keys(WIRE_ERRORS) as WireErrorCode[]).map((code) => ({
      name: code,
      summary: WIRE_ERRORS[code].meaning,
      headers: replyExample(),
      payload: { ...new WireError(code, WIRE_ERRORS[code].meaning).toBody() },
    })),
  };
}

function reply(type: 'result' | 'error', contentType: string): Part {
  return {
    contentType,
    correlationId: { $ref: '#/components/correlationIds/correlationId' },
    headers: {
      type: 'object',
      required: ['correlationId'],
      properties: { correlationId: correlationIdProperty('that of the request.') },
    },
    bindings: { amqp: { messageType: type, bindingVersion: '0.3.0' } },
  };
}

function replyExample(): Part {
  return { correlationId: EXAMPLE_CORRELATION_ID };
}
