import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { AgentError } from '../util/agent-errors.ts';
import type { Log } from '../util/log.ts';

/** An answer of the server. */
export interface HttpAnswer {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

interface HttpServerOptions {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  /** Exact paths. */
  readonly routes: Readonly<Record<string, () => HttpAnswer | Promise<HttpAnswer>>>;
  readonly log: Log;
}

/** An HTTP server. */
export interface HttpServer {
  /** The port it listens on, once it was started. */
  readonly port: number | undefined;
  /** @throws AgentError `ConfigurationFault` when the port cannot be listened on. */
  start(): Promise<void>;
  close(): Promise<void>;
}

/** The port may be open to strangers: these limits keep them from taking all connections. */
const MAX_CONNECTIONS = 64;
const REQUEST_TIMEOUT_MS = 5_000;
const KEEP_ALIVE_MS = 10_000;

/** A server that answers GET and HEAD of these paths. */
export function createHttpServer({ host, port, routes, log }: HttpServerOptions): HttpServer {
  const server = createServer({ requestTimeout: REQUEST_TIMEOUT_MS, connectionsCheckingInterval: 1000 });
  server.headersTimeout = REQUEST_TIMEOUT_MS;
  server.keepAliveTimeout = KEEP_ALIVE_MS;
  server.maxConnections = MAX_CONNECTIONS;
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    answer(request, routes)
      .catch((error: unknown): HttpAnswer => {
        log.error({ code: 'http_request_failed', err: error }, 'could not answer an HTTP request');
        return textAnswer(500, 'See the log of the agent.');
      })
      .then(
        ({ status, contentType, body }) => {
          response.writeHead(status, {
            'content-type': contentType,
            'content-length': Buffer.byteLength(body),
            'cache-control': 'no-store',
          });
          response.end(request.method === 'HEAD' ? undefined : body);
        },
        () => undefined,
      );
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

async function answer({ method, url }: IncomingMessage, routes: HttpServerOptions['routes']): Promise<HttpAnswer> {
  const [path = ''] = (url ?? '').split('?', 1);
  const route = Object.hasOwn(routes, path) ? routes[path] : undefined;
  if (route === undefined) return textAnswer(404, `The paths are ${Object.keys(routes).join(', ')}.`);
  if (method !== 'GET' && method !== 'HEAD') return textAnswer(405, 'Only GET and HEAD are served.');
  return await route();
}

/** An answer in plain text. */
export function textAnswer(status: number, body: string): HttpAnswer {
  return { status, contentType: 'text/plain; charset=utf-8', body: `${body}\n` };
}

/** An answer in JSON. */
export function json(status: number, body: object): HttpAnswer {
  return { status, contentType: 'application/json; charset=utf-8', body: `${JSON.stringify(body, null, 2)}\n` };
}
