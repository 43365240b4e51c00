import { once } from 'node:events';
import { createServer, type IncomingMessage, request as httpRequest, type ServerResponse, Agent } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { createSimulatedAccounts, type SimulatedAccounts } from './simulated-accounts.ts';

/** What is simulated, and who answers the rest. */
export interface SimulatedManagementOptions {
  /** The origin of a real management API, such as `http://127.0.0.1:15672`. */
  readonly upstream: string;
  /** `user:password` of its administrator, whose requests alone are answered here. */
  readonly credentials: string;
  /** Users whose names begin so are simulated. */
  readonly userPrefix: string;
  /** Queues whose names begin so are simulated, in every vhost. */
  readonly queuePrefix: string;
  /** A free one when absent. */
  readonly port?: number;
}

/** A running simulation. */
export interface SimulatedManagement {
  readonly url: string;
  readonly accounts: SimulatedAccounts;
  close(): Promise<void>;
}

/** How many characters of a listing are sent at a time. */
const CHUNK = 65_536;

/**
 * Starts a management API on 127.0.0.1 with users and queues that exist in memory only. It answers requests about these
 * like RabbitMQ, adds them to the listings of a real management API, and passes everything else on to that one. So an
 * agent can have a hundred thousand namespaces on a machine that has no broker for as many.
 */
export async function startSimulatedManagement(options: SimulatedManagementOptions): Promise<SimulatedManagement> {
  const { upstream, credentials, userPrefix, queuePrefix } = options;
  const authorization = `Basic ${Buffer.from(credentials).toString('base64')}`;
  const accounts = createSimulatedAccounts();
  const agent = new Agent({ keepAlive: true });

  const isSimulated = ([kind, first = '', second = '', third = '']: readonly string[]): boolean => {
    if (kind === 'users' || kind === 'user-limits') return first.startsWith(userPrefix);
    if (kind === 'permissions') return second.startsWith(userPrefix);
    if (kind === 'connections') return first === 'username' && second.startsWith(userPrefix);
    return kind === 'queues' && second.startsWith(queuePrefix) && third === '';
  };

  const passOn = async (request: IncomingMessage): Promise<IncomingMessage> => {
    // The answer is read here.
    const {
      method,
      url = '',
      headers: { 'accept-encoding': _, ...headers },
    } = request;
    const sent = httpRequest(`${upstream}${url}`, { method, headers, agent });
    request.pipe(sent);
    const [response] = (await once(sent, 'response')) as [IncomingMessage];
    return response;
  };

  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { pathname, searchParams } = new URL(request.url ?? '', upstream);
    const path = pathname.split('/').slice(2).map(decodeURIComponent);
    const isTrusted = request.headers.authorization === authorization;
    if (isTrusted && isSimulated(path)) {
      const body = await text(request);
      const answer = accounts.answer(request.method ?? '', path, body === '' ? undefined : JSON.parse(body));
      sendJson(response, answer.status, answer.body);
      return;
    }
    const real = await passOn(request);
    const listed = isTrusted && request.method === 'GET' && real.statusCode === 200 ? accounts.list(path) : undefined;
    if (listed === undefined) {
      response.writeHead(real.statusCode ?? 502, real.headers);
      real.pipe(response);
      return;
    }
    const elements = JSON.parse(await text(real)) as readonly object[];
    const columns = searchParams.get('columns');
    // RabbitMQ compresses for clients that accept it.
    const isCompressed = request.headers['accept-encoding']?.includes('gzip') === true;
    response.writeHead(200, {
      'content-type': 'application/json',
      ...(isCompressed ? { 'content-encoding': 'gzip' } : {}),
    });
    const chunks = Readable.from(chunksOf(elements, withColumns(listed, columns)));
    await (isCompressed ? pipeline(chunks, createGzip(), response) : pipeline(chunks, response));
  };

  const server = createServer((request, response) => {
    serve(request, response).catch((error: unknown) => {
      if (!response.headersSent) sendJson(response, 502, { error: 'bad_gateway', reason: String(error) });
      else response.destroy();
    });
  });
  server.listen(options.port ?? 0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    accounts,
    async close() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
      agent.destroy();
    },
  };
}

function sendJson(response: ServerResponse, status: number, body: unknown): void {
  if (body === undefined) response.writeHead(status, { 'content-length': 0 }).end();
  else response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

/** A JSON array of all elements, in chunks. */
function* chunksOf(...lists: readonly Iterable<object>[]): Generator<string> {
  let chunk = '[';
  let separator = '';
  for (const list of lists) {
    for (const element of list) {
      chunk += `${separator}${JSON.stringify(element)}`;
      separator = ',';
      if (chunk.length < CHUNK) continue;
      yield chunk;
      chunk = '';
    }
  }
  yield `${chunk}]`;
}

/** Only these columns of each element; all of them when there is no such query. */
function* withColumns(elements: Iterable<object>, columns: string | null): Generator<object> {
  const wanted = columns?.split(',');
  for (const element of elements) {
    yield wanted === undefined
      ? element
      : Object.fromEntries(Object.entries(element).filter(([name]) => wanted.includes(name)));
  }
}
