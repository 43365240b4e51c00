import http from 'node:http';
import https from 'node:https';
import { StringDecoder } from 'node:string_decoder';
import { tlsCodeOf } from '../contract/tls-faults.ts';

/** One request to the pool's server. */
export interface HttpRequest {
  readonly method: 'GET' | 'PUT' | 'POST' | 'DELETE';
  /** The path with the query, encoded. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Called with each piece of the body of a response with status 200, which then has no text. An error it throws fails the call. */
  readonly onPiece?: (piece: string) => void;
}

/** A response, complete. */
export interface HttpResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
}

/** A request in progress. */
export interface HttpCall {
  /** Rejects with an {@link HttpFault}, or with the reason of `abort`. */
  readonly response: Promise<HttpResponse>;
  /** Ends the call; without an effect when it is complete. */
  abort(reason: unknown): void;
}

/** The server gave no complete response. */
export class HttpFault extends Error {
  override readonly name = 'HttpFault';
  /** A code of the network or of TLS, such as `ECONNREFUSED`, or `ETIMEDOUT`. */
  readonly code: string;
  /** The server closed a kept-alive connection before it responded: perhaps just when the request was sent. */
  readonly isDroppedWhenReused: boolean;

  constructor(code: string, isDroppedWhenReused = false) {
    super(code);
    this.code = code;
    this.isDroppedWhenReused = isDroppedWhenReused;
  }
}

/** Where to connect. */
export interface HttpPoolOptions {
  readonly server: Pick<URL, 'protocol' | 'hostname' | 'port'>;
  /** Connections at most; more calls than that wait. */
  readonly connections: number;
  /** For each pause in which nothing is sent or received, in ms. No limit when absent. */
  readonly pauseTimeoutMs?: number;
  /** Trusted certificates in PEM, instead of the system's. */
  readonly ca?: string | undefined;
  /** The longest text of a response, in bytes. No limit when absent. */
  readonly maxTextBytes?: number;
}

/** Kept-alive connections to one server. */
export interface HttpPool {
  /** Sends a request; redirects are not followed. */
  start(request: HttpRequest): HttpCall;
  /** Closes all connections; calls in progress fail. */
  close(): void;
}

const DROPPED = new Set(['ECONNRESET', 'EPIPE']);

/**
 * Opens a pool of connections for what the agent calls for each request of a client: authenticateHawk and the management
 * API.
 *
 * taskcluster-client and axios are not used for these calls. Measured with 32 concurrent POSTs, as CPU of the caller for
 * each: taskcluster-client 230 µs, axios 116 µs, node:http 27 µs; with the options of node that `npm start` had then, axios
 * 191 µs and node:http 44 µs. undici takes 16 µs, but replaces the global `fetch`, and its last version for Node 20 (7.30)
 * ends the process where a server closes a connection while the parser is paused (nodejs/undici issue 5360).
 */
export function openHttpPool(options: HttpPoolOptions): HttpPool {
  const { protocol, hostname, port } = options.server;
  const { request: send, Agent } = protocol === 'https:' ? https : http;
  const agent = new Agent({
    keepAlive: true,
    maxSockets: options.connections,
    maxFreeSockets: options.connections,
    // The last used one: the rest becomes idle, and the server closes it.
    scheduling: 'lifo',
    ...(options.ca === undefined ? {} : { ca: options.ca }),
  });
  const target = { agent, host: hostname.replace(/^\[|\]$/g, ''), port };
  let isClosed = false;

  return {
    start(request) {
      const receiver = createReceiver(request.onPiece, options.maxTextBytes ?? Infinity);
      const { method, path, headers, body } = request;
      let stop: ((reason: unknown) => void) | undefined;
      const response = new Promise<HttpResponse>((resolve, reject) => {
        if (isClosed) throw new HttpFault('POOL_CLOSED');
        const sent = send({
          ...target,
          method,
          path,
          headers: body === undefined ? headers : { ...headers, 'content-length': Buffer.byteLength(body) },
        });
        stop = (reason) => {
          reject(reason);
          sent.destroy();
        };
        const onError = (error: NodeJS.ErrnoException): void => {
          const code = tlsCodeOf(error) || 'UNKNOWN';
          reject(new HttpFault(code, !receiver.hasBegun && sent.reusedSocket && DROPPED.has(code)));
        };
        const guarded = (step: () => void): void => {
          try {
            step();
          } catch (error) {
            stop?.(error);
          }
        };
        sent.on('error', onError);
        if (options.pauseTimeoutMs !== undefined) {
          sent.setTimeout(options.pauseTimeoutMs, () => stop?.(new HttpFault('ETIMEDOUT')));
        }
        sent.on('response', (received) => {
          receiver.begin(received.statusCode ?? 0, received.headers);
          received.on('data', (chunk: Buffer) => guarded(() => receiver.push(chunk)));
          received.on('error', onError);
          received.on('end', () => guarded(() => resolve(receiver.end())));
        });
        sent.end(body);
      });
      return { response, abort: (reason) => stop?.(reason) };
    },
    close() {
      isClosed = true;
      agent.destroy();
    },
  };
}

interface Receiver {
  readonly hasBegun: boolean;
  begin(status: number, headers: HttpResponse['headers']): void;
  push(chunk: Buffer): void;
  end(): HttpResponse;
}

function createReceiver(onPiece: HttpRequest['onPiece'], maxTextBytes: number): Receiver {
  let status = 0;
  let headers: HttpResponse['headers'] = {};
  const chunks: Buffer[] = [];
  let bytes = 0;
  let decoder: StringDecoder | undefined;
  return {
    get hasBegun() {
      return status !== 0;
    },
    begin(given, givenHeaders) {
      status = given;
      headers = givenHeaders;
      decoder = onPiece !== undefined && given === 200 ? new StringDecoder('utf8') : undefined;
    },
    push(chunk) {
      if (decoder !== undefined) return onPiece?.(decoder.write(chunk));
      bytes += chunk.length;
      if (bytes > maxTextBytes) throw new HttpFault('RESPONSE_TOO_LONG');
      chunks.push(chunk);
      return undefined;
    },
    end() {
      if (decoder !== undefined) onPiece?.(decoder.end());
      const [only] = chunks;
      const text = only === undefined ? '' : (chunks.length === 1 ? only : Buffer.concat(chunks)).toString('utf8');
      return { status, headers, text };
    },
  };
}
