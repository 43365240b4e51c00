/**
 * The one table of errors that cross the wire. Replies, the client's error classes and the documentation are made from
 * it. `retryable` says whether the same request, signed anew, can succeed later without anybody changing anything.
 */
export const WIRE_ERRORS = {
  InputError: {
    retryable: false,
    meaning: 'The request is malformed, or a field breaks a rule. The message names the field and the rule.',
  },
  AuthenticationFailed: {
    retryable: false,
    meaning: 'The signature is absent, broken, foreign, stale, or does not cover this body.',
  },
  InsufficientScopes: {
    retryable: false,
    meaning: 'The client is known and lacks the scope; details name what is required and the clientId.',
  },
  ResourceNotFound: {
    retryable: false,
    meaning: 'There is no such namespace.',
  },
  RequestConflict: {
    retryable: true,
    meaning: 'The namespace is in a state that does not allow this now: it is being deleted, or it is revoked.',
  },
  ReplayDetected: {
    retryable: false,
    meaning: 'This signature was used before by another request. Sign each request with a nonce of its own.',
  },
  Unavailable: {
    retryable: true,
    meaning: 'Something that the agent depends on does not answer in time. Try again with backoff and a new nonce.',
  },
  InternalServerError: {
    retryable: true,
    meaning: 'A fault of the agent. Its log has the cause under the correlation id.',
  },
} as const satisfies Record<string, { retryable: boolean; meaning: string }>;

/** A code of {@link WIRE_ERRORS}. */
export type WireErrorCode = keyof typeof WIRE_ERRORS;

/** Whether `code` is a code of {@link WIRE_ERRORS}. */
export function isWireErrorCode(code: string): code is WireErrorCode {
  return Object.hasOwn(WIRE_ERRORS, code);
}

/** The body of a reply of type `error`. */
export interface WireErrorBody {
  code: WireErrorCode;
  message: string;
  retryable: boolean;
  details?: Record<string, unknown>;
}

/**
 * An error that is told to the client as it stands: its message and details must hold no secret.
 *
 * @example
 * throw new WireError('RequestConflict', 'Namespace taskcluster-x is being deleted. Claim it again in a minute.');
 */
export class WireError extends Error {
  readonly code: WireErrorCode;
  readonly retryable: boolean;
  readonly details: Record<string, unknown> | undefined;

  constructor(
    code: WireErrorCode,
    message: string,
    options: { details?: Record<string, unknown>; retryable?: boolean; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = code;
    this.code = code;
    this.retryable = options.retryable ?? WIRE_ERRORS[code].retryable;
    this.details = options.details;
  }

  /** The body of the reply. */
  toBody(): WireErrorBody {
    return {
      code: this.code,
      message: this.message,
      retryable: this.retryable,
      ...(this.details === undefined ? {} : { details: this.details }),
    };
  }
}
