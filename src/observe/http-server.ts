import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { AgentError } from '../util/agent-errors.ts';
import type { Log } from '../util/log.ts';

/** What is sent for a path. */
export interface HttpAnswer {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

/** What {@link serveHttp} serves, and where. */
export interface HttpServerParts {
  readonly host: string;
  /** 0: any that is free. */
  readonly port: number;
  /** Exact paths. */
  readonly routes: Readonly<Record<string, () => HttpAnswer | Promise<HttpAnswer>>>;
  readonly log: Log;
}

/** A server that listens. */
export interface HttpServer {
  readonly port: number;
  close(): Promise<void>;
}

/** Whoever reaches the port may open connections: so many, and none that dawdles. */
const MOST_CONNECTIONS = 64;
const REQUEST_TIMEOUT_MS = 5_000;
const KEEP_ALIVE_MS = 10_000;

/**
 * Serves these paths to GET and HEAD.
 *
 * @throws AgentError `ConfigurationFault` when nobody can listen there.
 */
export async function serveHttp({ host, port, routes, log }: HttpServerParts): Promise<HttpServer> {
  const server = createServer({ requestTimeout: REQUEST_TIMEOUT_MS, connectionsCheckingInterval: 1000 });
  server.headersTimeout = REQUEST_TIMEOUT_MS;
  server.keepAliveTimeout = KEEP_ALIVE_MS;
  server.maxConnections = MOST_CONNECTIONS;
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    answer(request, routes)
      .catch((error: unknown): HttpAnswer => {
        log.error({ code: 'http_request_failed', err: error }, 'could not answer an HTTP request');
        return text(500, 'The log of the agent has more.');
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
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) =>
      reject(
        new AgentError(
          'ConfigurationFault',
          `Nobody can listen on HTTP_PORT ${port} at ${host} (${error.code}): choose another HTTP_PORT or HTTP_HOST, or stop what listens there.`,
        ),
      ),
    );
    server.listen(port, host, resolve);
  });
  server.on('error', (error) =>
    log.error({ code: 'http_server_error', err: error }, 'error of the HTTP server for health and metrics'),
  );
  server.unref();
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
    },
  };
}

async function answer({ method, url }: IncomingMessage, routes: HttpServerParts['routes']): Promise<HttpAnswer> {
  const [path = ''] = (url ?? '').split('?', 1);
  const route = Object.hasOwn(routes, path) ? routes[path] : undefined;
  if (route === undefined) return text(404, `Here are ${Object.keys(routes).join(', ')}.`);
  if (method !== 'GET' && method !== 'HEAD') return text(405, 'Only GET and HEAD are served.');
  return await route();
}

/** An answer in plain text. */
export function text(status: number, body: string): HttpAnswer {
  return { status, contentType: 'text/plain; charset=utf-8', body: `${body}\n` };
}

/** An answer in JSON. */
export function json(status: number, body: object): HttpAnswer {
  return { status, contentType: 'application/json; charset=utf-8', body: `${JSON.stringify(body, null, 2)}\n` };
}
