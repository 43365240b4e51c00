import { WIRE_ERRORS, WireError, type WireErrorCode } from '../contract/wire-errors.ts';

/** What the library's errors tell by `code`: a code of the contract, or one that only this side can have. */
export type ClientErrorCode = WireErrorCode | 'BrokerRefused' | 'ClientClosed' | 'LeaseLost';

/** The base of all errors of the library. Nothing secret is in any of them. */
export class PulseAgentError extends Error {
  readonly code: ClientErrorCode;
  /** Whether the same call can succeed later without anybody changing anything. */
  readonly retryable: boolean;
  /** What the agent told besides, by code. */
  readonly details: Readonly<Record<string, unknown>>;

  constructor(code: ClientErrorCode, message: string, options: PulseAgentErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = new.target.name;
    this.code = code;
    this.retryable = options.retryable ?? (code in WIRE_ERRORS && WIRE_ERRORS[code as WireErrorCode].retryable);
    this.details = options.details ?? {};
  }
}

/** What an error may be given besides its message. */
export interface PulseAgentErrorOptions {
  readonly retryable?: boolean | undefined;
  readonly details?: Readonly<Record<string, unknown>> | undefined;
  readonly cause?: unknown;
}

/** A field breaks a rule; `details.field` names it. */
export class InputError extends PulseAgentError {}

/** The agent does not serve this method: it is older than this library. `details.methods` names those that it serves. */
export class MethodNotServed extends InputError {}

/** The signature was refused, or there are no credentials to make one. */
export class AuthenticationFailed extends PulseAgentError {}

/** The signature was refused because the clock of this machine and that of the agent differ too much. */
export class ClockSkew extends AuthenticationFailed {
  /** By how many ms the clock of this machine is ahead of the agent's; negative when it is behind. */
  readonly aheadMs: number;

  constructor(aheadMs: number, options: PulseAgentErrorOptions) {
    const seconds = Math.round(Math.abs(aheadMs) / 1000);
    super(
      'AuthenticationFailed',
      `The clock of this machine is about ${seconds} s ${aheadMs > 0 ? 'ahead of' : 'behind'} that of the agent, which therefore refuses its signatures: set the clock.`,
      options,
    );
    this.aheadMs = aheadMs;
  }
}

/** The client lacks the scope `details.required`. */
export class InsufficientScopes extends PulseAgentError {}

/** There is no such namespace. */
export class ResourceNotFound extends PulseAgentError {}

/** The namespace is being deleted, was deleted a moment ago (`details.retryAt`) or is revoked (`details.revokedUntil`). */
export class RequestConflict extends PulseAgentError {}

/** Another request used this signature: somebody sent a copy of it first. */
export class ReplayDetected extends PulseAgentError {}

/** No answer in time, or the broker, the agent or something that it needs is away. */
export class Unavailable extends PulseAgentError {
  /** Whether the agent may have acted on the request all the same. */
  readonly mayHaveActed: boolean;

  constructor(code: 'Unavailable', message: string, options: PulseAgentErrorOptions & { mayHaveActed?: boolean } = {}) {
    super(code, message, options);
    this.mayHaveActed = options.mayHaveActed ?? false;
  }
}

/** A fault of the agent. */
export class InternalServerError extends PulseAgentError {}

/** RabbitMQ refuses the user, its password, the vhost, or the right to send requests. */
export class BrokerRefused extends PulseAgentError {
  constructor(message: string, options: PulseAgentErrorOptions = {}) {
    super('BrokerRefused', message, options);
  }
}

/** The credentials of a lease can no longer be valid. `details.reason` and the cause say why. */
export class LeaseLost extends PulseAgentError {
  constructor(message: string, options: PulseAgentErrorOptions) {
    super('LeaseLost', message, options);
  }
}

/** The client was closed, or the lease was stopped. */
export class ClientClosed extends PulseAgentError {
  constructor(message: string) {
    super('ClientClosed', message);
  }
}

/** No reply came: only the connection between this side and the broker knows why. */
export class NoReply extends WireError {
  /** Whether RabbitMQ has confirmed the request: then the connection to it was alive. */
  readonly confirmed: boolean;

  constructor(message: string, { confirmed = false }: { readonly confirmed?: boolean } = {}) {
    super('Unavailable', message);
    this.confirmed = confirmed;
  }
}

const CLASSES = {
  InputError,
  AuthenticationFailed,
  InsufficientScopes,
  ResourceNotFound,
  RequestConflict,
  ReplayDetected,
  InternalServerError,
} as const satisfies Partial<Record<WireErrorCode, typeof PulseAgentError>>;

/**
 * What the user of the library is told of an error from inside it. Others, such as the reason of an AbortSignal, stay
 * what they are.
 *
 * @param nowMs the wall clock of this machine, by which a clock that is off is told
 */
export function toClientError(error: unknown, nowMs: number): unknown {
  if (!(error instanceof WireError)) return error;
  const { code, message, retryable, details } = error;
  const options = { retryable, details, cause: error.cause };
  if (code === 'Unavailable') {
    return new Unavailable(code, message, { ...options, mayHaveActed: error instanceof NoReply });
  }
  const agentTime = details?.['agentTime'];
  if (code === 'AuthenticationFailed' && typeof agentTime === 'string' && !Number.isNaN(Date.parse(agentTime))) {
    return new ClockSkew(nowMs - Date.parse(agentTime), options);
  }
  if (code === 'InputError' && details?.['field'] === 'method') {
    const sentence = 'The agent does not serve this method: it is older than this client, and must be updated first.';
    return new MethodNotServed(code, sentence, options);
  }
  return new CLASSES[code](code, message, options);
}
