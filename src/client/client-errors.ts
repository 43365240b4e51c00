import { WIRE_ERRORS, WireError, type WireErrorCode } from '../contract/wire-errors.ts';

/** The `code` of an error of the library: a code of the contract, or one that only the client has. */
export type ClientErrorCode = WireErrorCode | 'BrokerRefused' | 'ClientClosed' | 'LeaseLost';

/** Why the credentials of a lease can no longer be valid. */
export type LossReason = 'scopes' | 'taken-away' | 'expired' | 'refused';

/** Details from the agent, with those that the code has; a newer agent may send more. */
type Details<Known> = Readonly<Known> & Readonly<Record<string, unknown>>;

/** The base class of all errors of the library. They hold no secrets. */
export class PulseAgentError extends Error {
  readonly code: ClientErrorCode;
  /** Whether the same call can succeed later without any other change. */
  readonly retryable: boolean;
  /** Details from the agent; which ones depends on the code. */
  readonly details: Readonly<Record<string, unknown>>;

  constructor(code: ClientErrorCode, message: string, options: PulseAgentErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = new.target.name;
    this.code = code;
    this.retryable = options.retryable ?? (code in WIRE_ERRORS && WIRE_ERRORS[code as WireErrorCode].retryable);
    this.details = options.details ?? {};
  }
}

/** Options of an error besides its message. */
export interface PulseAgentErrorOptions {
  readonly retryable?: boolean | undefined;
  readonly details?: Readonly<Record<string, unknown>> | undefined;
  readonly cause?: unknown;
}

/** A field or an option is invalid; `details.field` names it. */
export class InputError extends PulseAgentError {
  declare readonly details: Details<{ field?: string }>;
}

/** The agent does not serve this method, because it is older than this library. `details.methods` names those it serves. */
export class MethodNotServed extends InputError {
  declare readonly details: Details<{ field?: string; methods?: readonly string[] }>;
}

/** The signature was rejected, or there are no credentials to sign with. */
export class AuthenticationFailed extends PulseAgentError {
  /** `agentTime`: the agent's clock, if it differs too much from the signature's timestamp. */
  declare readonly details: Details<{ agentTime?: string }>;
}

/** The signature was rejected because the clocks of this machine and of the agent differ too much. */
export class ClockSkew extends AuthenticationFailed {
  /** How far the clock of this machine is ahead of the agent's, in ms; negative if it is behind. */
  readonly aheadMs: number;

  constructor(aheadMs: number, options: PulseAgentErrorOptions) {
    const seconds = Math.round(Math.abs(aheadMs) / 1000);
    super(
      'AuthenticationFailed',
      `The clock of this machine is about ${seconds} s ${aheadMs > 0 ? 'ahead of' : 'behind'} the agent's clock, so the agent rejects its signatures. Set the clock.`,
      options,
    );
    this.aheadMs = aheadMs;
  }
}

/** The client lacks the scope `details.required`. */
export class InsufficientScopes extends PulseAgentError {
  declare readonly details: Details<{ required?: string; clientId?: string }>;
}

/** The namespace does not exist. */
export class ResourceNotFound extends PulseAgentError {}

/** The namespace is being deleted, was just deleted (`details.retryAt`), or is revoked (`details.revokedUntil`). */
export class RequestConflict extends PulseAgentError {
  /** `limit` and `held`: how many namespaces the client may hold and holds, if that is why. */
  declare readonly details: Details<{ retryAt?: string; revokedUntil?: string; limit?: number; held?: number }>;
}

/** Another request used this signature: a copy of the request arrived first. */
export class ReplayDetected extends PulseAgentError {}

/** No answer in time, or the broker, the agent or a service that it needs is unavailable. */
export class Unavailable extends PulseAgentError {
  declare readonly details: Details<{ retryAfterSeconds?: number }>;
  /** Whether the agent may have acted on the request. */
  readonly mayHaveActed: boolean;

  constructor(code: 'Unavailable', message: string, options: PulseAgentErrorOptions & { mayHaveActed?: boolean } = {}) {
    super(code, message, options);
    this.mayHaveActed = options.mayHaveActed ?? false;
  }
}

/** An internal error of the agent. */
export class InternalServerError extends PulseAgentError {}

/** RabbitMQ refuses the user, its password, the vhost, the permission to send requests, or TLS as the URL wants it. */
export class BrokerRefused extends PulseAgentError {
  declare readonly details: Details<{ refused?: 'user' | 'vhost' | 'requests' | 'tls' }>;

  constructor(message: string, options: PulseAgentErrorOptions = {}) {
    super('BrokerRefused', message, options);
  }
}

const LOSS_TEXTS: Readonly<Record<LossReason, string>> = {
  scopes: 'the client lacks the scope',
  'taken-away': 'the namespace is being deleted or is revoked',
  expired: 'the namespace expired before a claim succeeded',
  refused: 'no claim succeeded in time, and RabbitMQ refuses the credentials',
};

/** The credentials of a lease can no longer be valid. `details.reason` and `cause` say why. */
export class LeaseLost extends PulseAgentError {
  declare readonly details: Details<{ reason: LossReason; namespace: string }>;

  constructor(reason: LossReason, namespace: string, cause: PulseAgentError) {
    const message = `The lease of ${namespace} is lost: ${LOSS_TEXTS[reason]}. ${cause.message}`;
    super('LeaseLost', message, { details: { reason, namespace }, cause });
  }
}

/** The client was closed, or the lease was stopped. */
export class ClientClosed extends PulseAgentError {
  constructor(message: string) {
    super('ClientClosed', message);
  }
}

/** An error that an agent answered. */
export class AnsweredError extends WireError {
  constructor({ code, message, retryable, details, cause }: WireError) {
    super(code, message, { retryable, cause, ...(details === undefined ? {} : { details }) });
  }
}

/** No reply arrived. */
export class NoReply extends WireError {
  /** Whether RabbitMQ confirmed the request, so that the connection was alive. */
  readonly confirmed: boolean;

  constructor(
    message: string,
    { confirmed = false, cause }: { readonly confirmed?: boolean; readonly cause?: unknown } = {},
  ) {
    super('Unavailable', message, { cause });
    this.confirmed = confirmed;
  }

  /** The same after an agent has answered an earlier attempt of this call: one runs, and says why it cannot serve. */
  after(answer: AnsweredError): NoReply {
    const message = this.confirmed
      ? `An agent answered: ${answer.message} The last attempt got no reply in time.`
      : `${this.message} An agent answered an earlier attempt: ${answer.message}`;
    return new NoReply(message, { confirmed: this.confirmed, cause: this.confirmed ? answer : this });
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
 * Turns a WireError into the error that the library throws. Any other error, such as the reason of an AbortSignal, is
 * returned unchanged.
 *
 * @param nowMs the wall clock of this machine, to compute the clock skew
 */
export function toClientError(error: unknown, nowMs: number): unknown {
  if (!(error instanceof WireError)) return error;
  const { code, message, retryable } = error;
  const details = error.details && withKnownTypes(error.details);
  const options = { retryable, details, cause: error.cause };
  if (code === 'Unavailable') {
    return new Unavailable(code, message, { ...options, mayHaveActed: error instanceof NoReply });
  }
  const agentTime = details?.['agentTime'];
  if (code === 'AuthenticationFailed' && typeof agentTime === 'string' && !Number.isNaN(Date.parse(agentTime))) {
    return new ClockSkew(nowMs - Date.parse(agentTime), options);
  }
  if (code === 'InputError' && details?.['field'] === 'method') {
    const text = 'The agent does not serve this method: it is older than this client. Update the agent first.';
    return new MethodNotServed(code, text, options);
  }
  return new CLASSES[code](code, message, options);
}

/** The types of the details that the classes declare. */
const IS_OF_TYPE: Readonly<Record<string, (value: unknown) => boolean>> = {
  ...Object.fromEntries(
    ['field', 'agentTime', 'required', 'clientId', 'retryAt', 'revokedUntil'].map((name) => [name, isString]),
  ),
  ...Object.fromEntries(
    ['limit', 'held', 'retryAfterSeconds'].map((name) => [name, (value: unknown) => typeof value === 'number']),
  ),
  methods: (value) => Array.isArray(value) && value.every(isString),
};

function isString(value: unknown): boolean {
  return typeof value === 'string';
}

/** Without the details of another type than the classes declare: they come from the agent. */
function withKnownTypes(details: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(details).filter(([name, value]) => IS_OF_TYPE[name]?.(value) !== false));
}

/** Any error as one of the library's. */
export function toPulseAgentError(error: unknown): PulseAgentError {
  if (error instanceof PulseAgentError) return error;
  // For example an error of the caller's function for credentials.
  const message = error instanceof Error ? error.message : 'The claim failed for an unknown reason.';
  return new Unavailable('Unavailable', message, { cause: error });
}
