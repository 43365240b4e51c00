import * as z from 'zod';
import { AgentError } from '../../util/agent-errors.ts';
import type { Secret } from '../../util/secret.ts';
import { AddressFault, managementAdvice, pageReceived, unreachable } from './management-refusals.ts';
import { createArrayReceiver, parseBody } from './response-body.ts';
import { type Deadline, startDeadline } from '../../util/deadline.ts';
import { HttpFault, openHttpPool } from '../../util/http-pool.ts';
import { createSemaphore } from '../../util/semaphore.ts';

/** Options of every call of the management API. */
export interface ManagementCallOptions {
  /** Aborts the call, waiting or in flight; it rejects with the signal's reason. */
  readonly signal?: AbortSignal;
  /** The time-out of the whole call, in ms, with the wait for the semaphore; else the transport's, or a minute for listings. */
  readonly timeoutMs?: number;
  /**
   * Called synchronously right before the request is sent, after any wait, and again before a retry. An error that it throws
   * prevents the request, and the call rejects with it.
   */
  readonly beforeSend?: () => void;
  /** Sends a change also while RabbitMQ is split; see guarded-changes.ts. */
  readonly evenWhenSplit?: boolean;
}

/** Where the management API is, and how to call it. */
export interface ManagementOptions {
  /** Its `http` or `https` URL, such as `http://localhost:15672`; it may have a path prefix. */
  readonly url: string;
  readonly username: string;
  readonly password: Secret;
  /** The default time-out of a call, in ms. */
  readonly timeoutMs: number;
  /** Concurrent requests, at most; 32 when absent, beyond which RabbitMQ only gets slower. */
  readonly concurrency?: number;
  /** Trusted certificates in PEM, instead of the system's. */
  readonly ca?: string | undefined;
}

/** One request. */
export interface ManagementRequest {
  readonly method: 'GET' | 'PUT' | 'POST' | 'DELETE';
  /** The segments of the path below `/api`, not encoded. */
  readonly path: readonly string[];
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: object;
  /** Statuses of errors whose response the caller reads. */
  readonly expected?: readonly number[];
}

/** A response: the status, and the body parsed as JSON. */
export interface ManagementResponse {
  readonly status: number;
  readonly body: unknown;
  /** Its server, as in {@link ManagementHttp.shownUrl}. */
  readonly from: string;
  /** The request was sent before, and no answer came: the server may have done then what it asks for. */
  readonly isRepeated?: boolean;
  /** With 404: whether RabbitMQ's handler of the resource answered, rather than a node that is stopping or a proxy. */
  readonly isOfResource?: boolean;
}

/** The management API responded with a status of 4xx. */
export class BrokerRefusal extends AgentError {
  readonly status: number;
  readonly reason: string;

  constructor(status: number, reason: string, message: string) {
    super('BrokerRefused', message);
    this.status = status;
    this.reason = reason;
  }
}

/** Sends requests to the management API. */
export interface ManagementHttp {
  /** Its URL without path and credentials. */
  readonly shownUrl: string;
  /**
   * Sends one request. A status of 404 is no error: the absence of a resource is often what the caller wants.
   *
   * @throws AgentError `BrokerUnavailable` for network errors, time-outs and 5xx; `BrokerRefused` for a certificate
   * that is not trusted; {@link BrokerRefusal} for other 4xx.
   */
  send(request: ManagementRequest, options?: ManagementCallOptions): Promise<ManagementResponse>;
  /**
   * Sends a request whose response is an array, and calls `onElement` with each element as it arrives; the response then has
   * no body. A call that fails may have passed some elements.
   *
   * @throws as {@link send} does
   */
  sendForList(
    request: ManagementRequest,
    onElement: (element: unknown) => void,
    options?: ManagementCallOptions,
  ): Promise<ManagementResponse>;
  /** Whether the server answers. It waits for no other call. */
  probe(timeoutMs: number): Promise<boolean>;
  /** The error for a status of 404, where that is one. */
  refusal(request: ManagementRequest, response: ManagementResponse): BrokerRefusal;
  /** Closes the idle connections. */
  close(): void;
}

const REASON_CHARACTERS = 300;

/**
 * Creates the transport: keep-alive connections, credentials with the first request (a challenge would double the round
 * trips), at most `concurrency` requests at a time.
 */
export function createManagementHttp(settings: ManagementOptions): ManagementHttp {
  const concurrency = settings.concurrency ?? 32;
  const semaphore = createSemaphore(concurrency);
  const base = new URL(settings.url);
  const shownUrl = `${base.protocol}//${base.host}`;
  const prefix = `${base.pathname.replace(/\/+$/, '')}/api`;
  const token = Buffer.from(`${settings.username}:${settings.password.reveal()}`).toString('base64');
  // Without `accept`: some routes refuse `application/json` with 406.
  const headers = { authorization: `Basic ${token}` };
  const headersWithBody = { ...headers, 'content-type': 'application/json' };
  const pool = openHttpPool({
    server: base,
    // One more for the probe.
    connections: concurrency + 1,
    ca: settings.ca,
  });

  const exchange = async (
    request: ManagementRequest,
    path: string,
    deadline: Deadline,
    beforeSend?: () => void,
    onElement?: (element: unknown) => void,
  ): Promise<ManagementResponse> => {
    const body = request.body === undefined ? undefined : JSON.stringify(request.body);
    for (let attempt = 1; ; attempt += 1) {
      beforeSend?.();
      const receiver = onElement === undefined ? undefined : createArrayReceiver(onElement);
      const call = pool.start({
        method: request.method,
        path: `${prefix}${path}${encodeQuery(request.query)}`,
        headers: { ...(body === undefined ? headers : headersWithBody), ...request.headers },
        ...(body === undefined ? {} : { body }),
        ...(receiver === undefined ? {} : { onPiece: (piece) => receiver.push(piece) }),
      });
      try {
        const { status, headers: received, text } = await deadline.race(call.response);
        const common = { status, from: shownUrl, ...(attempt === 1 ? {} : { isRepeated: true }) };
        if (receiver !== undefined && status === 200) return { ...common, body: receiver.end() };
        if (status >= 300 && status < 400) return { ...common, body: { reason: destinationOf(received['location']) } };
        if (status !== 404) return { ...common, body: parseBody(text) };
        return { ...common, body: parseBody(text), isOfResource: negotiatesContent(received['vary']) };
      } catch (error) {
        call.abort(error);
        // The server closed an idle connection just when it was reused. All calls here are idempotent.
        if (attempt === 1 && error instanceof HttpFault && error.isDroppedWhenReused && !deadline.passed) continue;
        throw error;
      }
    }
  };

  const send = async (
    request: ManagementRequest,
    options: ManagementCallOptions = {},
    onElement?: (element: unknown) => void,
  ): Promise<ManagementResponse> => {
    options.signal?.throwIfAborted();
    const timeoutMs = options.timeoutMs ?? settings.timeoutMs;
    const path = encodePath(request.path);
    const what = `${request.method} /api${path}`;
    const deadline = startDeadline(timeoutMs, options.signal);
    try {
      const release = semaphore.tryAcquire() ?? (await semaphore.acquire(deadline.signal));
      try {
        const response = await exchange(request, path, deadline, options.beforeSend, onElement);
        if (request.expected?.includes(response.status)) return response;
        return checkStatus(response, `${what} at ${shownUrl}`, [
          token,
          settings.password.reveal(),
          ...secretsOf(request.body),
        ]);
      } finally {
        release();
      }
    } catch (error) {
      options.signal?.throwIfAborted();
      if (deadline.passed) {
        throw new AgentError(
          'BrokerUnavailable',
          `RabbitMQ's management API at ${shownUrl} did not answer ${what} within ${timeoutMs} ms. Check its load and its alarms.`,
        );
      }
      throw error instanceof HttpFault ? unreachable(shownUrl, error.code) : error;
    } finally {
      deadline.clear();
    }
  };

  return {
    shownUrl,
    send: (request, options) => send(request, options),
    sendForList: (request, onElement, options) => send(request, options, onElement),
    async probe(timeoutMs) {
      const deadline = startDeadline(timeoutMs);
      const call = pool.start({ method: 'GET', path: `${prefix}/whoami`, headers });
      try {
        const { status } = await deadline.race(call.response);
        return status !== 404 && status < 500;
      } catch (error) {
        call.abort(error);
        return false;
      } finally {
        deadline.clear();
      }
    },
    refusal({ method, path }, { status, body, from }) {
      return refusal(status, reasonOf(body, []), `${method} /api${encodePath(path)} at ${from}`);
    },
    close() {
      pool.close();
    },
  };
}

/** Only a handler of a resource chooses the type of its answer, even if the resource is missing. */
function negotiatesContent(vary: unknown): boolean {
  return typeof vary === 'string' && /(^|,)\s*accept\s*(,|$)/i.test(vary);
}

/**
 * Joins segments to a path, each encoded. `.` and `..` are refused: URLs resolve them in every encoding, and a DELETE would
 * hit the parent.
 */
function encodePath(names: readonly string[]): string {
  return names
    .map((name) => {
      if (name === '' || name === '.' || name === '..') {
        throw new AgentError(
          'BrokerRefused',
          `The management API cannot address the name "${name}". Delete the resource of that name by hand.`,
        );
      }
      return `/${encodeURIComponent(name)}`;
    })
    .join('');
}

function encodeQuery(query: ManagementRequest['query']): string {
  return query === undefined ? '' : `?${new URLSearchParams(query).toString()}`;
}

function checkStatus(response: ManagementResponse, where: string, secrets: string[]): ManagementResponse {
  const { status, body } = response;
  if (status < 300 && isPage(body, where)) throw pageReceived(where, status);
  if (status < 300 || status === 404) return response;
  const reason = reasonOf(response.body, secrets);
  // Proxies in front of the API respond with 408 and 429, which a retry resolves, as 5xx.
  if (status >= 500 || status === 408 || status === 429) {
    const message = `RabbitMQ's management API answered ${where} with ${status} (${reason}). Check the broker's log.`;
    // With 500 RabbitMQ answers for one resource; the others are of proxies, and of nodes that start or stop.
    throw status === 500
      ? new AgentError('BrokerUnavailable', message)
      : new AddressFault('BrokerUnavailable', message);
  }
  throw refusal(status, reason, where);
}

/** Without the query, which may hold a token. */
function destinationOf(location: unknown): string {
  return typeof location === 'string' ? `to ${location.split(/[?#]/, 1)[0]}` : 'to nowhere';
}

/** RabbitMQ sends JSON, and nothing in response to a change. */
function isPage(body: unknown, where: string): boolean {
  return typeof body === 'string' && (body.trimStart().startsWith('<') || (!where.startsWith('GET ') && body !== ''));
}

function refusal(status: number, reason: string, where: string): BrokerRefusal {
  const advice = managementAdvice(status, reason, where);
  return new BrokerRefusal(
    status,
    reason,
    `RabbitMQ's management API refused ${where} with ${status} (${reason}). ${advice}`,
  );
}

const REFUSAL_SCHEMA = z.object({ reason: z.unknown(), error: z.unknown() }).partial();

/** The reason of a refusal, without secrets that the API may have echoed. */
function reasonOf(body: unknown, secrets: string[]): string {
  const { reason, error } = REFUSAL_SCHEMA.safeParse(body).data ?? {};
  const given = reason ?? error ?? 'no reason given';
  const text = typeof given === 'string' ? given : JSON.stringify(given);
  return secrets
    .filter((secret) => secret !== '')
    .reduce((clean, secret) => clean.replaceAll(secret, '[secret]'), text)
    .slice(0, REASON_CHARACTERS);
}

/** The secret values of a body, such as the hash of a password, which RabbitMQ may echo in its reason. */
function secretsOf(body: object | undefined): string[] {
  if (body === undefined) return [];
  return Object.entries(body).flatMap(([key, value]) =>
    key.startsWith('password') && typeof value === 'string' ? [value] : [],
  );
}
