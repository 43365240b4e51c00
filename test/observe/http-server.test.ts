import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { createHttpServer, type IncomingRequest, type HttpServer, textAnswer } from '../../src/observe/http-server.ts';
import { createLog } from '../../src/util/log.ts';
import { addCleanup } from '../support/cleanup.ts';
import { createTestLog } from '../support/test-log.ts';
import { waitUntil } from '../support/wait-until.ts';

/** A server with a health check, whose other paths a test answers. */
async function startServer({ stallMs = 20_000 } = {}): Promise<HttpServer & { readonly log: string[] }> {
  const { lines, write } = createTestLog();
  const server = createHttpServer({
    host: '127.0.0.1',
    port: 0,
    routes: { '/healthz': () => textAnswer(200, 'alive') },
    log: createLog({ id: 'pulse-agent', logLevel: 'trace' }, { write }),
    stallMs,
  });
  await server.start();
  addCleanup(() => server.close());
  return Object.assign(server, { log: lines });
}

/** A connection to the server that sends this, and nothing more. */
async function openSocket({ port }: HttpServer, text = ''): Promise<Socket> {
  const socket = connect({ port: port ?? 0, host: '127.0.0.1' });
  socket.on('error', () => undefined);
  addCleanup(() => void socket.destroy());
  await once(socket, 'connect');
  socket.write(text);
  return socket;
}

/** What arrives until the server closes the connection. */
async function readAll(socket: Socket): Promise<string> {
  let text = '';
  socket.setEncoding('utf8').on('data', (part: string) => (text += part));
  // Not `once`: the server may reset the connection.
  await new Promise((resolve) => (socket.destroyed ? resolve(undefined) : socket.once('close', resolve)));
  return text;
}

async function isHealthy({ port }: HttpServer): Promise<boolean> {
  const response = await fetch(`http://127.0.0.1:${port}/healthz`, {
    headers: { connection: 'close' },
    signal: AbortSignal.timeout(10_000),
  });
  return response.status === 200 && (await response.text()) === 'alive\n';
}

describe('the HTTP server', function () {
  this.timeout(60_000);

  for (const [what, text] of [
    ['send nothing', ''],
    ['send half a request', 'GET /healthz HTTP/1.1\r\nhost: a\r\n'],
    ['keep their connection', 'GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n'],
    ['announce a body', 'POST /healthz HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\n'],
  ] as const) {
    it(`answers health checks while 400 clients ${what}`, async () => {
      const server = await startServer();
      for (let count = 0; count < 400; count += 1) {
        await openSocket(server, text);
        if (count % 20 === 0 || count > 380) assert.ok(await isHealthy(server), `with ${count} others`);
      }
    });
  }

  it('answers health checks while 400 clients do not read a large answer', async () => {
    const server = await startServer();
    const large = Buffer.alloc(16 * 1024 * 1024, 'x');
    server.mount(() => ({ status: 200, contentType: 'text/plain', body: large }));
    for (let count = 0; count < 400; count += 1) {
      const socket = await openSocket(server);
      socket.pause();
      socket.write('GET /large HTTP/1.1\r\nhost: a\r\n\r\n');
    }
    assert.ok(await isHealthy(server));
  });

  it('asks a client that it cut before its first request to come again', async () => {
    const server = await startServer();
    const first = readAll(await openSocket(server, 'GET /healthz HTT'));
    for (let count = 0; count < 260; count += 1) await openSocket(server);
    assert.match(await first, /^HTTP\/1\.1 503 .*retry-after: 1\r\n/s);
  });

  it('answers half a request with 408 after some seconds', async () => {
    const server = await startServer();
    const socket = await openSocket(server, 'GET /healthz HTTP/1.1\r\nhost: ');
    assert.match(await readAll(socket), /^HTTP\/1\.1 408 /);
  });

  it('asks for the parts of an answer as fast as they are read, and drops a client that reads none', async () => {
    const server = await startServer({ stallMs: 200 });
    let made = 0;
    let ended = 0;
    const part = 'x'.repeat(64 * 1024);
    server.mount(() => ({ status: 200, contentType: 'text/plain', body: endless() }));
    async function* endless(): AsyncGenerator<string> {
      try {
        for (;;) {
          made += 1;
          yield part;
        }
      } finally {
        ended += 1;
      }
    }
    const socket = await openSocket(server);
    socket.pause();
    socket.write('GET /stream HTTP/1.1\r\nhost: a\r\n\r\n');
    await waitUntil(() => ended === 1, 'the answer is abandoned');
    // What the kernel buffers, on both sides.
    assert.ok(made < 400, `${made} parts were made for a client that reads nothing`);
    assert.deepEqual(server.log, []);
  });

  it('ends an answer in parts when its client goes, also behind another one', async () => {
    const server = await startServer();
    const signals: AbortSignal[] = [];
    server.mount(({ signal }) => {
      signals.push(signal);
      return { status: 200, contentType: 'text/plain', body: silent(signal) };
    });
    async function* silent(signal: AbortSignal): AsyncGenerator<string> {
      yield 'begun\n';
      if (!signal.aborted) await once(signal, 'abort');
    }
    const socket = await openSocket(server, 'GET /a HTTP/1.1\r\nhost: a\r\n\r\n'.repeat(2));
    await waitUntil(() => signals.length === 2, 'both requests arrive');
    assert.ok(signals.every(({ aborted }) => !aborted));
    socket.destroy();
    await waitUntil(() => signals.every(({ aborted }) => aborted), 'both answers end');
  });

  it('keeps a client that reads slowly and all that it has asked for', async () => {
    const server = await startServer({ stallMs: 5_000 });
    server.mount(() => ({ status: 200, contentType: 'text/plain', body: numbers() }));
    async function* numbers(): AsyncGenerator<string> {
      for (let count = 0; count < 50; count += 1) yield `${count} ${'x'.repeat(64 * 1024)}\n`;
    }
    const response = await fetch(`http://127.0.0.1:${server.port}/stream`);
    const seen: string[] = [];
    let text = '';
    for await (const part of response.body ?? []) {
      text += Buffer.from(part).toString();
      await delay(1);
    }
    for (const line of text.trim().split('\n')) seen.push(line.split(' ')[0] ?? '');
    assert.deepEqual(
      seen,
      Array.from({ length: 50 }, (_, index) => String(index)),
    );
  });

  it('cuts a client that sends requests without waiting for answers', async () => {
    const server = await startServer();
    let asked = 0;
    server.mount(async ({ signal }) => {
      asked += 1;
      await once(signal, 'abort');
      return textAnswer(200, 'late');
    });
    const socket = await openSocket(server, 'GET /slow HTTP/1.1\r\nhost: a\r\n\r\n'.repeat(5000));
    await readAll(socket);
    assert.equal(asked, 8);
    assert.ok(await isHealthy(server));
  });

  it('passes a handler the path, the query and the headers as they were sent', async () => {
    const server = await startServer();
    const requests: IncomingRequest[] = [];
    server.mount((got) => {
      requests.push(got);
      return { ...textAnswer(200, 'ok'), headers: { 'cache-control': 'no-cache', 'x-frame-options': 'DENY' } };
    });
    const sent = request({ port: server.port, path: '/a/../%2e/b?x=1?y&z', headers: { 'x-own': 'v' } }).end();
    const [{ headers }] = (await once(sent, 'response')) as [{ headers: Record<string, string> }];
    assert.equal(requests[0]?.path, '/a/../%2e/b');
    assert.equal(requests[0]?.query, 'x=1?y&z');
    assert.equal(requests[0]?.headers['x-own'], 'v');
    assert.equal(requests[0]?.localAddress, '127.0.0.1');
    assert.equal(headers['cache-control'], 'no-cache');
    assert.equal(headers['x-frame-options'], 'DENY');
    assert.equal(headers['x-content-type-options'], 'nosniff');
  });

  it('answers HEAD of an answer in parts without making one', async () => {
    const server = await startServer();
    server.mount(() => ({ status: 200, contentType: 'text/plain', body: never() }));
    async function* never(): AsyncGenerator<string> {
      yield assert.fail('it was asked');
    }
    const response = await fetch(`http://127.0.0.1:${server.port}/x`, { method: 'HEAD' });
    assert.deepEqual([response.status, await response.text()], [200, '']);
    assert.deepEqual(server.log, []);
  });

  it('logs a handler that fails, and answers 500', async () => {
    const server = await startServer();
    server.mount(() => Promise.reject(new Error('by a test')));
    const response = await fetch(`http://127.0.0.1:${server.port}/x`);
    assert.equal(response.status, 500);
    assert.equal((JSON.parse(server.log[0] ?? '{}') as { code?: string }).code, 'http_request_failed');
  });
});
