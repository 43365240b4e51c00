import http from 'node:http';
import https from 'node:https';
import type { Readable } from 'node:stream';
import { create as createAxios, isAxiosError } from 'axios';
import * as z from 'zod';
import { AgentError } from '../../util/agent-errors.ts';
import type { Secret } from '../../util/secret.ts';
import { parseBody, readArray } from './response-body.ts';
import { startDeadline } from '../../util/deadline.ts';
import { createSemaphore } from '../../util/semaphore.ts';

/** What every call of the management API may be given. */
export interface ManagementCallOptions {
  /** Ends the call, waiting or under way; it then rejects with the signal's reason. */
  readonly signal?: AbortSignal;
  /** The longest the whole call may take, waiting for a free place included; else the transport's, or a minute for listings. */
  readonly timeoutMs?: number;
  /**
   * Called synchronously right before the request is sent, after any waiting; again if it has to be sent again. What it
   * throws vetoes the request and is what the call rejects with.
   */
  readonly beforeSend?: () => void;
}

/** Where the management API is and how to talk to it. */
export interface ManagementOptions {
  /** Its address without a path, as `http://localhost:15672`; `https` works too. A path prefix is kept. */
  readonly url: string;
  readonly username: string;
  readonly password: Secret;
  /** For calls that name no other. */
  readonly timeoutMs: number;
  /** How many requests are under way at once; 32 when absent, beyond which RabbitMQ only gets slower. */
  readonly concurrency?: number;
  /** Certificates to trust, in PEM, instead of the system's. */
  readonly ca?: string | undefined;
}

/** One request, not yet sent. */
export interface ManagementRequest {
  readonly method: 'GET' | 'PUT' | 'DELETE';
  /** The names of the path below `/api`, not encoded. */
  readonly path: readonly string[];
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: object;
}

/** What came back: the status, and the body read as JSON. */
export interface ManagementResponse {
  readonly status: number;
  readonly body: unknown;
}

/** The management API said no: it answered with a status of 4xx. */
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
  /**
   * Sends one request. A status of 404 is an answer: what is missing is often what was wanted.
   *
   * @throws AgentError `BrokerUnavailable` for network faults, time-outs and 5xx; `BrokerRefused` for a certificate
   * that is not trusted; {@link BrokerRefusal} for other 4xx.
   */
  send(request: ManagementRequest, options?: ManagementCallOptions): Promise<ManagementResponse>;
  /**
   * Sends a request whose answer is a list, and hands out its elements as they arrive; there is no body then. When it
   * fails on the way, some have been handed out already.
   *
   * @throws as `send` does
   */
  sendForList(
    request: ManagementRequest,
    onElement: (element: unknown) => void,
    options?: ManagementCallOptions,
  ): Promise<ManagementResponse>;
  /** The error for an answer of 404 where that is no answer. */
  refusal(request: ManagementRequest, answer: ManagementResponse): BrokerRefusal;
  /** Closes the idle connections. */
  close(): void;
}

const REASON_CHARACTERS = 300;
/** What TLS finds wrong with a certificate: trying again does not help. */
const UNTRUSTED = /^(CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|ERR_TLS_CERT_)/;
const DROPPED_WHEN_REUSED = new Set(['ECONNRESET', 'EPIPE']);

/**
 * Opens the transport: keep-alive connections, credentials sent with the first request (a challenge would double the
 * round trips), at most `callsAtOnce` at once.
 *
 * No AxiosError leaves this function, not even as a cause: it prints the Authorization header and the request's body.
 */
export function createManagementHttp(settings: ManagementOptions): ManagementHttp {
  const callsAtOnce = settings.concurrency ?? 32;
  const semaphore = createSemaphore(callsAtOnce);
  const base = new URL(settings.url);
  const shownUrl = `${base.protocol}//${base.host}`;
  const prefix = `${shownUrl}${base.pathname.replace(/\/+$/, '')}/api`;
  const token = Buffer.from(`${settings.username}:${settings.password.reveal()}`).toString('base64');
  const agentOptions = { keepAlive: true, maxSockets: callsAtOnce, maxFreeSockets: callsAtOnce };
  const httpAgent = new http.Agent(agentOptions);
  const httpsAgent = new https.Agent({ ...agentOptions, ...(settings.ca === undefined ? {} : { ca: settings.ca }) });
  const client = createAxios({
    httpAgent,
    httpsAgent,
    proxy: false,
    // A redirect could carry the Authorization header elsewhere.
    maxRedirects: 0,
    validateStatus: () => true,
    transformResponse: [parseBody],
    headers: { Authorization: `Basic ${token}` },
  });

  const exchange = async (
    request: ManagementRequest,
    url: string,
    signal: AbortSignal,
    beforeSend?: () => void,
    onElement?: (element: unknown) => void,
  ): Promise<ManagementResponse> => {
    for (let attempt = 1; ; attempt += 1) {
      beforeSend?.();
      try {
        const answer = await client.request<unknown>({
          method: request.method,
          url,
          signal,
          ...(request.query === undefined ? {} : { params: request.query }),
          ...(request.headers === undefined ? {} : { headers: { ...request.headers } }),
          ...(request.body === undefined ? {} : { data: request.body }),
          ...(onElement === undefined ? {} : { responseType: 'stream' }),
        });
        const { status, data } = answer;
        const body = onElement === undefined ? data : await readArray(data as Readable, status, onElement, signal);
        return { status, body };
      } catch (error) {
        const fault = readFault(error);
        // The server closed an idle connection at the moment it was taken up again. All calls here are idempotent.
        if (attempt === 1 && fault.reusedSocket && DROPPED_WHEN_REUSED.has(fault.code) && !signal.aborted) continue;
        throw new NetworkFault(fault.code);
      }
    }
  };

  const send = async (
    request: ManagementRequest,
    options: ManagementCallOptions = {},
    onElement?: (element: unknown) => void,
  ): Promise<ManagementResponse> => {
    options.signal?.throwIfAborted();
    const url = prefix + encodePath(request.path);
    const timeoutMs = options.timeoutMs ?? settings.timeoutMs;
    const what = `${request.method} /api${encodePath(request.path)}`;
    const deadline = startDeadline(timeoutMs, options.signal);
    try {
      const release = await semaphore.acquire(deadline.signal);
      try {
        const answer = await exchange(request, url, deadline.signal, options.beforeSend, onElement);
        return judge(answer, `${what} at ${shownUrl}`, [token, settings.password.reveal(), ...textsOf(request.body)]);
      } finally {
        release();
      }
    } catch (error) {
      options.signal?.throwIfAborted();
      if (deadline.passed) {
        throw new AgentError(
          'BrokerUnavailable',
          `RabbitMQ's management API at ${shownUrl} did not answer ${what} within ${timeoutMs} ms. Look at its load and its alarms.`,
        );
      }
      if (error instanceof NetworkFault && UNTRUSTED.test(error.code)) {
        throw new AgentError(
          'BrokerRefused',
          `The certificate of RabbitMQ's management API at ${shownUrl} is not trusted (${error.code}). Give the CA that signed it in RABBITMQ_CA or RABBITMQ_CA_FILE, and use a host name that it was made for.`,
        );
      }
      if (error instanceof NetworkFault) {
        throw new AgentError(
          'BrokerUnavailable',
          `RabbitMQ's management API at ${shownUrl} cannot be reached (${error.code}). Check RABBITMQ_MANAGEMENT_URL and that the management plugin is on.`,
        );
      }
      throw error;
    } finally {
      deadline.clear();
    }
  };

  return {
    send: (request, options) => send(request, options),
    sendForList: (request, onElement, options) => send(request, options, onElement),
    refusal({ method, path }, { status, body }) {
      return refusal(status, reasonOf(body, []), `${method} /api${encodePath(path)} at ${shownUrl}`);
    },
    close() {
      httpAgent.destroy();
      httpsAgent.destroy();
    },
  };
}

/** What may be told of an AxiosError: its code. It never leaves this file. */
class NetworkFault extends Error {
  readonly code: string;

  constructor(code: string) {
    super(code);
    this.code = code;
  }
}

function readFault(error: unknown): { code: string; reusedSocket: boolean } {
  const code = (error as { code?: unknown } | undefined)?.code;
  const request: unknown = isAxiosError(error) ? error.request : undefined;
  return {
    code: typeof code === 'string' ? code : 'unknown fault',
    reusedSocket: request instanceof http.ClientRequest && request.reusedSocket,
  };
}

/**
 * Joins names to a path, each encoded. `.` and `..` are refused: URLs give them a meaning in every encoding, and a
 * DELETE would hit what lies above.
 */
export function encodePath(names: readonly string[]): string {
  return names
    .map((name) => {
      if (name === '' || name === '.' || name === '..') {
        throw new AgentError(
          'BrokerRefused',
          `The management API cannot address the name "${name}". Remove what bears it by hand.`,
        );
      }
      return `/${encodeURIComponent(name)}`;
    })
    .join('');
}

function judge(answer: ManagementResponse, where: string, secrets: string[]): ManagementResponse {
  const { status } = answer;
  if (status < 300 || status === 404) return answer;
  const reason = reasonOf(answer.body, secrets);
  // 408 and 429 come from proxies in front of the API and ask for patience, as 5xx does.
  if (status >= 500 || status === 408 || status === 429) {
    throw new AgentError(
      'BrokerUnavailable',
      `RabbitMQ's management API answered ${where} with ${status} (${reason}). Look at the broker's log.`,
    );
  }
  throw refusal(status, reason, where);
}

function refusal(status: number, reason: string, where: string): BrokerRefusal {
  const advice =
    status === 401 || status === 403
      ? 'Check the credentials in RABBITMQ_MANAGEMENT_URL or RABBITMQ_URL, and that the account has the administrator tag.'
      : "Check that the vhost exists and that the broker's version is one that the agent supports.";
  return new BrokerRefusal(
    status,
    reason,
    `RabbitMQ's management API refused ${where} with ${status} (${reason}). ${advice}`,
  );
}

const ANSWER_OF_REFUSAL = z.object({ reason: z.unknown(), error: z.unknown() }).partial();

/** Why the API refuses, without what it may have echoed. */
function reasonOf(body: unknown, secrets: string[]): string {
  const { reason, error } = ANSWER_OF_REFUSAL.safeParse(body).data ?? {};
  const told = reason ?? error ?? 'no reason given';
  const text = typeof told === 'string' ? told : JSON.stringify(told);
  return secrets
    .filter((secret) => secret !== '')
    .reduce((clean, secret) => clean.replaceAll(secret, '[secret]'), text)
    .slice(0, REASON_CHARACTERS);
}

/** The texts of a body: RabbitMQ may echo one in its reason, and one of them is a password's hash. */
function textsOf(body: object | undefined): string[] {
  if (body === undefined) return [];
  return Object.entries(body).flatMap(([key, value]) =>
    key.startsWith('password') && typeof value === 'string' ? [value] : [],
  );
}
