import { formatInstant } from '../contract/fields.ts';
import { METHODS, type MethodName } from '../contract/methods.ts';
import { AGENT_ID_PATTERN, AGENT_ID_RULE, AUDIENCE_PATTERN, AUDIENCE_RULE } from '../contract/names.ts';
import type { ClientCredentials } from '../contract/signature.ts';
import { parseBrokerUrls } from './amqp-connection.ts';
import { AuthenticationFailed, InputError, Unavailable } from './client-errors.ts';
import { messageOf } from './connect-fault.ts';
import { type ConnectionSource, unlessAborted } from './rpc-connection.ts';
import type { Time } from './time.ts';

/** Which agent to call, over which broker, with which credentials. */
export interface ClientOptions {
  /**
   * The AMQP URL for requests, with the name and password of the agent's claimant or of a claimed account. Its path is the
   * vhost of the requests; without a path that is the agent's id. For a cluster: one URL for each node, with commas
   * between, which differ in host and port only. The client tries them in turn.
   */
  readonly url?: string;
  /**
   * In place of `url`: an open connection of amqplib, or a function that returns one when it is needed. The client never
   * closes it.
   */
  readonly connection?: Exclude<ConnectionSource, string>;
  /** Taskcluster credentials, or a function that returns the current ones, for methods that need a signature. */
  readonly credentials?: ClientCredentials | (() => ClientCredentials | Promise<ClientCredentials>);
  /** The agent's id; `pulse-agent` when absent. */
  readonly id?: string;
  /** The vhost of the requests; when absent, the path of `url`, and without one the `id`. */
  readonly requestVhost?: string;
  /** The audience that the agent expects in signatures; `pulse-agent` when absent. */
  readonly audience?: string;
  /** CA certificates in PEM that TLS connections are checked against, instead of those of the system; also by leases. */
  readonly ca?: string;
  /** How long a call may take with all retries, in ms; 30 s when absent. */
  readonly timeoutMs?: number;
  /** Closes the client when it aborts. */
  readonly signal?: AbortSignal;
  /** Clocks and random numbers, for tests. */
  readonly time?: Time;
}

/** The longest time of a timer, in ms. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1;

/**
 * Checks the options of a client, and returns where its connection comes from.
 *
 * @throws InputError
 */
export function checkedSource(options: ClientOptions): ConnectionSource {
  const { url, connection, timeoutMs } = options;
  if ((url === undefined) === (connection === undefined)) {
    throw invalid('url', 'A PulseAgentClient needs either a url or a connection.');
  }
  for (const name of ['id', 'requestVhost', 'audience'] as const) {
    if (options[name] === '') throw invalid(name, `The option ${name} is empty: leave it out for the default.`);
  }
  const { id, audience } = options;
  if (id !== undefined && !AGENT_ID_PATTERN.test(id)) {
    throw invalid('id', `The option id must consist of ${AGENT_ID_RULE}, as the id of an agent.`);
  }
  if (audience !== undefined && !AUDIENCE_PATTERN.test(audience)) {
    throw invalid('audience', `The option audience must be ${AUDIENCE_RULE}, as the audience of an agent.`);
  }
  if (timeoutMs !== undefined) checkedTimeoutMs(timeoutMs);
  if (url === undefined) return connection as ConnectionSource;
  parseBrokerUrls(url);
  return url;
}

/**
 * How long a call may take, in ms.
 *
 * @throws InputError
 */
export function checkedTimeoutMs(timeoutMs: number): number {
  if (typeof timeoutMs !== 'number' || !(timeoutMs > 0))
    throw invalid('timeoutMs', 'The option timeoutMs must be a number of ms above 0.');
  return Math.min(Math.ceil(timeoutMs), MAX_TIMEOUT_MS);
}

/**
 * An instant as text. Whether a text is an instant is for the agent to say.
 *
 * @throws InputError
 */
export function instantOf(field: string, instant: Date | string): string {
  if (typeof instant === 'string') return instant;
  if (instant instanceof Date && !Number.isNaN(instant.getTime())) return formatInstant(instant.getTime());
  throw invalid(field, `The field ${field} must be a valid Date, or text such as 2026-11-24T12:00:00.000Z.`);
}

/**
 * Calls the caller's function for the `expires` of a claim.
 *
 * @throws InputError
 */
export function expiresFrom(expires: () => Date | string): Date | string {
  try {
    return expires();
  } catch (cause) {
    throw invalid('expires', `The function for expires failed: ${messageOf(cause)}.`, cause);
  }
}

/**
 * The credentials that sign a request of this method; none if it needs no signature.
 *
 * @param isSigned whether the request is signed although the method does not need it
 * @throws AuthenticationFailed if there are none; Unavailable if the caller's function fails, or the signal aborts first.
 */
export async function credentialsFor(
  method: MethodName,
  source: ClientOptions['credentials'],
  signal: AbortSignal,
  isSigned = false,
): Promise<ClientCredentials | undefined> {
  if (!METHODS[method].signed && !isSigned) return undefined;
  const credentials = typeof source === 'function' ? await credentialsFrom(source, signal) : source;
  const { clientId, accessToken, certificate, ...rest } = credentials ?? { clientId: '', accessToken: '' };
  if (!isText(clientId) || !isText(accessToken)) {
    const need = METHODS[method].signed ? `The method ${method} needs` : 'Details of namespaces need';
    const message = `${need} a signature, but there are no credentials: clientId and accessToken must not be empty.`;
    throw new AuthenticationFailed('AuthenticationFailed', message);
  }
  // An unset variable is often passed on as an empty text.
  return { clientId, accessToken, ...(certificate ? { certificate } : {}), ...rest };
}

async function credentialsFrom(
  read: () => ClientCredentials | Promise<ClientCredentials>,
  signal: AbortSignal,
): Promise<ClientCredentials> {
  try {
    return await unlessAborted(Promise.resolve(read()), signal);
  } catch (cause) {
    const why = signal.aborted ? 'did not return in time' : `failed: ${messageOf(cause)}`;
    throw new Unavailable('Unavailable', `The function for credentials ${why}.`, { cause });
  }
}

function isText(value: unknown): boolean {
  return typeof value === 'string' && value !== '';
}

function invalid(field: string, message: string, cause?: unknown): InputError {
  return new InputError('InputError', message, { details: { field }, cause });
}
