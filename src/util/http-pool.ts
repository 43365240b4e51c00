import { StringDecoder } from 'node:string_decoder';
import { type Dispatcher, Pool } from 'undici';

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
  /** A code of the network, TLS or undici, such as `ECONNREFUSED`. */
  readonly code: string;
  /** The server closed a connection before it responded. It may have closed it just when the request was sent. */
  readonly isDropped: boolean;

  constructor(code: string, isDropped: boolean) {
    super(code);
    this.code = code;
    this.isDropped = isDropped;
  }
}

/** Where to connect. */
export interface HttpPoolOptions {
  /** `http` or `https`, host and port. */
  readonly origin: string;
  /** Connections at most; more calls than that wait. */
  readonly connections: number;
  /** For connecting, in ms. */
  readonly connectTimeoutMs: number;
  /** For the headers of a response, and for each pause in its body, in ms, to a second or so. No limit when absent. */
  readonly responseTimeoutMs?: number;
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

/** How long an idle connection is kept, in ms, unless the server announces less: RabbitMQ and most proxies close after 60 s. */
const KEEP_ALIVE_MS = 50_000;
const DROPPED = new Set(['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE']);

/**
 * Opens a pool of undici for what the agent calls for each request of a client: authenticateHawk and the management API.
 *
 * taskcluster-client and axios are not used for these calls. Measured with 32 concurrent POSTs, as CPU of the caller for
 * each: taskcluster-client 230 µs, axios 116 µs, axios over this pool 47 µs, this pool 16 µs; with the options of node that
 * `npm start` had then, axios 191 µs and this pool 25 µs. An AbortController for each call would cost as much as the call.
 */
export function openHttpPool(options: HttpPoolOptions): HttpPool {
  const { responseTimeoutMs = 0, maxTextBytes = Infinity } = options;
  const pool = new Pool(options.origin, {
    connections: options.connections,
    pipelining: 1,
    keepAliveTimeout: KEEP_ALIVE_MS,
    headersTimeout: responseTimeoutMs,
    bodyTimeout: responseTimeoutMs,
    connect: { timeout: options.connectTimeoutMs, ...(options.ca === undefined ? {} : { ca: options.ca }) },
  });
  return {
    start(request) {
      let aborted: { reason: unknown } | undefined;
      let controller: Dispatcher.DispatchController | undefined;
      const response = new Promise<HttpResponse>((resolve, reject) => {
        const { method, path, headers = {}, body = null } = request;
        const receiver = createReceiver(request.onPiece, maxTextBytes);
        pool.dispatch(
          { method, path, headers, body },
          {
            onRequestStart(started) {
              controller = started;
              if (aborted !== undefined) started.abort(asError(aborted.reason));
            },
            onResponseStart(_started, status, responseHeaders) {
              receiver.begin(status, responseHeaders);
            },
            // An error that is thrown here ends the call.
            onResponseData: (_started, chunk) => receiver.push(chunk),
            onResponseEnd() {
              try {
                resolve(receiver.end());
              } catch (error) {
                reject(error);
              }
            },
            onResponseError(_started, error) {
              if (aborted !== undefined) reject(aborted.reason);
              else if (receiver.failure !== undefined) reject(receiver.failure.reason);
              else reject(faultOf(error, receiver.hasBegun));
            },
          },
        );
      });
      return {
        response,
        abort(reason) {
          aborted ??= { reason };
          controller?.abort(asError(reason));
        },
      };
    },
    close() {
      void pool.destroy();
    },
  };
}

interface Receiver {
  readonly hasBegun: boolean;
  /** What `push` has thrown. */
  readonly failure: { readonly reason: unknown } | undefined;
  begin(status: number, headers: HttpResponse['headers']): void;
  push(chunk: Buffer): void;
  end(): HttpResponse;
}

function createReceiver(onPiece: HttpRequest['onPiece'], maxTextBytes: number): Receiver {
  let status = 0;
  let headers: HttpResponse['headers'] = {};
  let chunks: Buffer[] = [];
  let bytes = 0;
  let decoder: StringDecoder | undefined;
  let failure: { reason: unknown } | undefined;

  const add = (chunk: Buffer): void => {
    if (decoder !== undefined) return onPiece?.(decoder.write(chunk));
    bytes += chunk.length;
    if (bytes > maxTextBytes) throw new HttpFault('RESPONSE_TOO_LONG', false);
    chunks.push(chunk);
    return undefined;
  };
  return {
    get hasBegun() {
      return status !== 0;
    },
    get failure() {
      return failure;
    },
    begin(given, givenHeaders) {
      // After an informational response, the next one counts.
      status = given;
      headers = givenHeaders;
      chunks = [];
      decoder = onPiece !== undefined && given === 200 ? new StringDecoder('utf8') : undefined;
    },
    push(chunk) {
      try {
        add(chunk);
      } catch (error) {
        failure = { reason: error };
        throw error;
      }
    },
    end() {
      if (decoder !== undefined) onPiece?.(decoder.end());
      const [only] = chunks;
      const text = only === undefined ? '' : (chunks.length === 1 ? only : Buffer.concat(chunks)).toString('utf8');
      return { status, headers, text };
    },
  };
}

function faultOf(error: Error, hasBegun: boolean): HttpFault {
  const code = 'code' in error && typeof error.code === 'string' ? error.code : 'UNKNOWN';
  return new HttpFault(code, !hasBegun && DROPPED.has(code));
}

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error('aborted');
}
