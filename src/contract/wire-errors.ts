/**
 * All errors on the wire. `retryable`: the same request with a new signature can succeed later without any other change.
 */
export const WIRE_ERRORS = {
  InputError: {
    retryable: false,
    meaning: 'The request is malformed or a field is invalid. The message names the field and the rule.',
  },
  AuthenticationFailed: {
    retryable: false,
    meaning: 'The signature is missing, malformed, invalid or expired, or does not cover this body.',
  },
  InsufficientScopes: {
    retryable: false,
    meaning: 'The client lacks the required scope. `details` holds the scope and the clientId.',
  },
  ResourceNotFound: {
    retryable: false,
    meaning: 'The namespace does not exist.',
  },
  RequestConflict: {
    retryable: true,
    meaning:
      'The state of the namespace does not allow this now: it is being deleted, was just deleted, or is revoked; or, not retryable: a first claim would take over what exists, or no agent has the secret of the namespace any more (`details.secretId`), and an operator has to act; or the client holds as many namespaces as it may.',
  },
  ReplayDetected: {
    retryable: false,
    meaning: 'Another request used this signature before. Sign each request with a new nonce.',
  },
  Unavailable: {
    retryable: true,
    meaning:
      'A service that the agent needs does not answer in time, or the client sends too many requests (`details.retryAfterSeconds`). Retry with backoff and a new nonce.',
  },
  InternalServerError: {
    retryable: true,
    meaning: 'Internal error of the agent. Its log has the cause under the correlation id.',
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
 * An error that the client receives unchanged: its message and details must hold no secret.
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
