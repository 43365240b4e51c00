import * as z from 'zod';
import { isWireErrorCode, WIRE_ERRORS, WireError } from './wire-errors.ts';
import { JsonFault, parseStrictJson } from './json.ts';

/** The content type of a reply that is JSON. */
export const JSON_CONTENT_TYPE = 'application/json';

/** The content type of a reply that is a compact JWE. */
export const SEALED_CONTENT_TYPE = 'application/jose';

/** The properties of a reply's AMQP message. */
export interface ReplyProperties {
  /** The one of the request. */
  readonly correlationId: string;
  readonly type: 'result' | 'error';
  readonly contentType: typeof JSON_CONTENT_TYPE | typeof SEALED_CONTENT_TYPE;
}

/** A reply to publish. */
export interface Reply {
  readonly properties: ReplyProperties;
  readonly content: Buffer;
}

/** A reply as a client reads it. */
export type ReplyContent =
  | { readonly kind: 'result'; readonly json: Uint8Array }
  | { readonly kind: 'sealed'; readonly jwe: string }
  | { readonly kind: 'error'; readonly error: WireError };

/** The body of a reply of type `error`. Readers ignore unknown fields. */
export const errorBody = z
  .object({
    code: z.enum(Object.keys(WIRE_ERRORS)).meta({ description: 'The error code.', examples: ['InputError'] }),
    message: z.string().meta({
      description: 'An explanation for people.',
      examples: ['The field namespace is missing: it must be 1 to 64 of the characters A-Z, a-z, 0-9, _ and -.'],
    }),
    retryable: z.boolean().meta({
      description: 'Whether the same request with a new signature can succeed later without any other change.',
      examples: [false],
    }),
    details: z
      .record(z.string(), z.unknown())
      .exactOptional()
      .meta({
        description:
          'Details for programs, by code. InputError: field; for an unknown method also methods. InsufficientScopes: required (the scope) and clientId. AuthenticationFailed: agentTime, if the timestamp is wrong. RequestConflict: retryAt or revokedUntil; limit and held, if the client holds too many namespaces. Unavailable: retryAfterSeconds, if the client sends too many requests.',
        examples: [{ field: 'namespace' }],
      }),
  })
  .meta({ id: 'Error', description: 'Why a request failed.' });

/** A reply with a result in plain JSON. */
export function resultReply(correlationId: string, resultJson: string): Reply {
  return reply({ correlationId, type: 'result', contentType: JSON_CONTENT_TYPE }, resultJson);
}

/** A reply with a result sealed for the key of the request. */
export function sealedReply(correlationId: string, jwe: string): Reply {
  return reply({ correlationId, type: 'result', contentType: SEALED_CONTENT_TYPE }, jwe);
}

/** A reply with an error. Errors are never sealed. */
export function errorReply(correlationId: string, error: WireError): Reply {
  return reply({ correlationId, type: 'error', contentType: JSON_CONTENT_TYPE }, JSON.stringify(error.toBody()));
}

function reply(properties: ReplyProperties, text: string): Reply {
  return { properties, content: Buffer.from(text) };
}

/**
 * Reads a reply. An unknown error code becomes InternalServerError with that code in `details` and with the agent's
 * `retryable`.
 *
 * @throws WireError `InternalServerError` if it does not follow the contract.
 */
export function readReply(
  properties: { readonly type?: unknown; readonly contentType?: unknown },
  content: Uint8Array,
): ReplyContent {
  const { type, contentType } = properties;
  if (type === 'result' && contentType === JSON_CONTENT_TYPE) return { kind: 'result', json: content };
  if (type === 'result' && contentType === SEALED_CONTENT_TYPE) {
    return { kind: 'sealed', jwe: Buffer.from(content).toString('latin1') };
  }
  if (type === 'error' && contentType === JSON_CONTENT_TYPE) return { kind: 'error', error: readError(content) };
  throw new WireError('InternalServerError', 'The reply has an unknown type or content type.');
}

// A later agent may have more codes.
const errorBodyOfAnyCode = errorBody.extend({ code: z.string() });

function readError(content: Uint8Array): WireError {
  let input: unknown;
  try {
    input = parseStrictJson(content);
  } catch (error) {
    const reason = error instanceof JsonFault ? error.message : 'cannot be read';
    throw new WireError('InternalServerError', `The error in the reply ${reason}.`, { cause: error });
  }
  const parsed = errorBodyOfAnyCode.safeParse(input);
  if (!parsed.success) {
    const message = 'The error in the reply does not follow the contract.';
    throw new WireError('InternalServerError', message, { cause: parsed.error });
  }
  const { code, message, retryable, details } = parsed.data;
  if (isWireErrorCode(code)) return new WireError(code, message, { retryable, ...(details && { details }) });
  return new WireError('InternalServerError', message, { retryable, details: { ...details, code } });
}
