import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { AgentError } from '../util/agent-errors.ts';
import type { Log } from '../util/log.ts';
import { waitAtMost } from '../util/deadline.ts';
import { limitConnections, type PendingRequest } from './http-connections.ts';

/** A request to the server. */
export interface IncomingRequest {
  readonly method: string;
  /** As it was sent, without the query. */
  readonly path: string;
  /** What follows the first `?`; undefined without one. */
  readonly query: string | undefined;
  readonly headers: IncomingHttpHeaders;
  /** Whether the client announces a body. The agent does not read it. */
  readonly hasBody: boolean;
  /** The address of this machine that the client reached. */
  readonly localAddress: string | undefined;
  /** Aborted when the client has gone, or when its answer is complete. */
  readonly signal: AbortSignal;
}

/** An answer of the server. */
export interface HttpAnswer {
  readonly status: number;
  readonly contentType: string;
  /** Parts are asked for as fast as the client reads; it should end when the signal of the request is aborted. */
  readonly body: string | Uint8Array | AsyncIterable<string>;
  /** Others than the type and the length, and instead of the defaults. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** Answers a request. */
export type HttpHandler = (request: IncomingRequest) => HttpAnswer | Promise<HttpAnswer>;

interface HttpServerOptions {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  /** Exact paths. */
  readonly routes: Readonly<Record<string, () => HttpAnswer | Promise<HttpAnswer>>>;
  readonly log: Log;
  /** How long a client may read nothing of an answer in parts, in ms; 20,000 when absent. */
  readonly stallMs?: number;
}

/** An HTTP server. */
export interface HttpServer {
  /** The port it listens on, once it was started. */
  readonly port: number | undefined;
  /** @throws AgentError `ConfigurationFault` when the port cannot be listened on. */
  start(): Promise<void>;
  /** From now on this answers all other paths. */
  mount(handler: HttpHandler): void;
  close(): Promise<void>;
}

/** The port may be open to strangers: these limits keep them from taking all connections. */
const MAX_CONNECTIONS = 256;
const REQUEST_TIMEOUT_MS = 5_000;
const KEEP_ALIVE_MS = 10_000;
/** After this time without a byte in either direction a connection is cut. */
const IDLE_MS = 30_000;
const STALL_MS = 20_000;

/** A server that answers GET and HEAD of these paths, and of those of a mounted handler. */
export function createHttpServer(options: HttpServerOptions): HttpServer {
  const { host, port, routes, log, stallMs = STALL_MS } = options;
  let mounted: HttpHandler | undefined;
  const server = createServer({
    requestTimeout: REQUEST_TIMEOUT_MS,
    headersTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    connectionsCheckingInterval: 1000,
  });
  server.timeout = IDLE_MS;
  const connections = limitConnections(server, MAX_CONNECTIONS);

  const answerTo: HttpHandler = async (request) => {
    const route = Object.hasOwn(routes, request.path) ? routes[request.path] : undefined;
    if (route === undefined && mounted !== undefined) return await mounted(request);
    if (route === undefined) return textAnswer(404, `The paths are ${Object.keys(routes).join(', ')}.`);
    if (request.method !== 'GET' && request.method !== 'HEAD') return textAnswer(405, 'Only GET and HEAD are served.');
    return await route();
  };
  const serve = async (incoming: IncomingMessage, response: ServerResponse): Promise<void> => {
    const pending = connections.begin(incoming.socket);
    if (pending === undefined) return;
    response.once('close', () => pending.end());
    const request = requestOf(incoming, pending.signal);
    const answer = await Promise.resolve(answerTo(request)).catch((error: unknown): HttpAnswer => {
      // A client that has gone waits for no answer.
      if (!pending.signal.aborted) {
        log.error({ code: 'http_request_failed', err: error }, 'could not answer an HTTP request');
      }
      return textAnswer(500, 'See the log of the agent.');
    });
    await send(answer, { request, response, pending, stallMs });
  };
  server.on('request', (incoming: IncomingMessage, response: ServerResponse) => {
    serve(incoming, response).catch((error: unknown) => {
      if (!response.destroyed) {
        log.error({ code: 'http_request_failed', err: error }, 'could not complete the answer to an HTTP request');
      }
      incoming.socket.destroy();
    });
  });
  const listen = (): Promise<void> =>
    new Promise((resolve, reject) => {
      server.once('error', (error: NodeJS.ErrnoException) => reject(cannotListen(host, port, error)));
      server.listen(port, host, resolve);
    });
  return {
    get port() {
      return (server.address() as AddressInfo | null)?.port;
    },
    async start() {
      await listen();
      server.on('error', (error) =>
        log.error({ code: 'http_server_error', err: error }, 'error of the HTTP server for health and metrics'),
      );
      server.unref();
    },
    mount(handler) {
      mounted = handler;
    },
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
    },
  };
}

function cannotListen(host: string, port: number, { code }: NodeJS.ErrnoException): AgentError {
  return new AgentError(
    'ConfigurationFault',
    `Cannot listen on HTTP_PORT ${port} at ${host} (${code}): choose another HTTP_PORT or HTTP_HOST, or stop the process that uses it.`,
  );
}

function requestOf(incoming: IncomingMessage, signal: AbortSignal): IncomingRequest {
  const { method = '', url = '', headers, socket } = incoming;
  const question = url.indexOf('?');
  return {
    method,
    path: question === -1 ? url : url.slice(0, question),
    query: question === -1 ? undefined : url.slice(question + 1),
    headers,
    hasBody: headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0,
    localAddress: socket.localAddress,
    signal,
  };
}

interface Sending {
  readonly request: IncomingRequest;
  readonly response: ServerResponse;
  readonly pending: PendingRequest;
  readonly stallMs: number;
}

/** Rejects when a client stops reading an answer in parts, and as the body does. */
async function send({ status, contentType, body, headers }: HttpAnswer, sending: Sending): Promise<void> {
  const { request, response, pending, stallMs } = sending;
  const isWhole = typeof body === 'string' || body instanceof Uint8Array;
  response.writeHead(status, {
    'content-type': contentType,
    // One about a file that has not changed has none.
    ...(isWhole && status !== 304 ? { 'content-length': Buffer.byteLength(body) } : {}),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    ...headers,
    // What a client sends after its headers is not read.
    ...(request.hasBody ? { connection: 'close' } : {}),
  });
  if (request.method === 'HEAD' || isWhole) {
    response.end(request.method === 'HEAD' ? undefined : body);
    return;
  }
  pending.hold();
  response.flushHeaders();
  for await (const part of body) {
    if (request.signal.aborted) return;
    if (response.write(part)) continue;
    const drained = once(response, 'drain', { signal: request.signal });
    if (await waitAtMost(stallMs, drained)) continue;
    response.destroy();
    return;
  }
  response.end();
}

/** An answer in plain text. */
export function textAnswer(status: number, body: string): HttpAnswer {
  return { status, contentType: 'text/plain; charset=utf-8', body: `${body}\n` };
}

/** An answer in JSON. */
export function json(status: number, body: object): HttpAnswer {
  return { status, contentType: 'application/json; charset=utf-8', body: `${JSON.stringify(body, null, 2)}\n` };
}
