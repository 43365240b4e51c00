import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import { type HttpPool, type HttpPoolOptions, HttpFault, openHttpPool } from '../../src/util/http-pool.ts';

describe('a pool of HTTP connections', () => {
  const open: (() => void)[] = [];
  afterEach(() => {
    for (const close of open.splice(0)) close();
  });

  const serve = async (
    handler: http.RequestListener,
    options: Partial<HttpPoolOptions> = {},
  ): Promise<{ pool: HttpPool; server: http.Server }> => {
    const server = http.createServer(handler);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    assert.ok(address !== null && typeof address === 'object');
    const origin = new URL(`http://127.0.0.1:${address.port}`);
    const pool = openHttpPool({ server: origin, connections: 2, ...options });
    open.push(() => {
      pool.close();
      server.closeAllConnections();
      server.close();
    });
    return { pool, server };
  };
  const faultOf = async (work: Promise<unknown>): Promise<HttpFault> => {
    const error: unknown = await work.then(
      () => assert.fail('it should fail'),
      (reason: unknown) => reason,
    );
    assert.ok(error instanceof HttpFault, String(error));
    return error;
  };

  it('sends method, path, headers and body, and returns status, headers and text', async () => {
    const { pool } = await serve((request, response) => {
      let body = '';
      request.setEncoding('utf8').on('data', (piece: string) => (body += piece));
      request.on('end', () => {
        response.writeHead(201, { 'x-answer': 'yes' });
        response.end(`${request.method} ${request.url} ${String(request.headers['x-question'])} ${body} äöü`);
      });
    });
    const call = pool.start({
      method: 'PUT',
      path: '/a%2Fb?c=d',
      headers: { 'x-question': 'which' },
      body: '{"x":"€"}',
    });
    const { status, headers, text } = await call.response;
    assert.equal(status, 201);
    assert.equal(headers['x-answer'], 'yes');
    assert.equal(text, 'PUT /a%2Fb?c=d which {"x":"€"} äöü');
  });

  it('follows no redirect', async () => {
    const { pool } = await serve((_request, response) => {
      response.writeHead(302, { location: 'http://127.0.0.1:1/elsewhere' }).end();
    });
    assert.equal((await pool.start({ method: 'GET', path: '/' }).response).status, 302);
  });

  it('passes on pieces of a successful response that split no character, and the text of another status', async () => {
    const bytes = Buffer.from('[“pieces”]');
    const { pool } = await serve((request, response) => {
      response.writeHead(request.url === '/ok' ? 200 : 500);
      response.write(bytes.subarray(0, 2));
      setImmediate(() => response.end(bytes.subarray(2)));
    });
    const pieces: string[] = [];
    const onPiece = (piece: string): void => void pieces.push(piece);
    assert.equal((await pool.start({ method: 'GET', path: '/ok', onPiece }).response).text, '');
    assert.equal(pieces.join(''), '[“pieces”]');
    const other = await pool.start({ method: 'GET', path: '/bad', onPiece: () => assert.fail() }).response;
    assert.deepEqual([other.status, other.text], [500, '[“pieces”]']);
  });

  it('rejects with the error of a receiver', async () => {
    const { pool } = await serve((_request, response) => response.end('[1]'));
    const onPiece = (): void => {
      throw new Error('not this');
    };
    await assert.rejects(pool.start({ method: 'GET', path: '/', onPiece }).response, /not this/);
    await assert.doesNotReject(pool.start({ method: 'GET', path: '/' }).response);
  });

  it('ends a response that is too long', async () => {
    const { pool } = await serve((_request, response) => response.end('x'.repeat(2_000)), { maxTextBytes: 1_000 });
    const { code, isDroppedWhenReused } = await faultOf(pool.start({ method: 'GET', path: '/' }).response);
    assert.deepEqual([code, isDroppedWhenReused], ['RESPONSE_TOO_LONG', false]);
  });

  it('shows whether the server dropped a kept-alive connection before it responded', async () => {
    const used = new WeakSet<object>();
    const handler: http.RequestListener = (request, response) => {
      if (request.url === '/within') {
        response.writeHead(200, { 'content-length': 100 });
        response.write('begun');
        setImmediate(() => request.socket.destroy());
      } else if (request.url === '/new' || used.has(request.socket)) request.socket.destroy();
      else response.end('ok');
      used.add(request.socket);
    };
    const { pool } = await serve(handler, { connections: 1 });
    const call = (path: string): Promise<HttpFault> => faultOf(pool.start({ method: 'GET', path }).response);
    assert.equal((await call('/new')).isDroppedWhenReused, false);
    assert.equal((await call('/within')).isDroppedWhenReused, false);
    await pool.start({ method: 'GET', path: '/ok' }).response;
    assert.equal((await call('/ok')).isDroppedWhenReused, true);
  });

  it('shows the code of the network', async () => {
    const pool = openHttpPool({ server: new URL('http://127.0.0.1:1'), connections: 1 });
    open.push(() => pool.close());
    const { code, isDroppedWhenReused } = await faultOf(pool.start({ method: 'GET', path: '/' }).response);
    assert.deepEqual([code, isDroppedWhenReused], ['ECONNREFUSED', false]);
  });

  it('aborts a call in flight, and one that waits for a connection, with the reason', async () => {
    const { pool, server } = await serve(() => undefined, { connections: 1 });
    const running = pool.start({ method: 'GET', path: '/' });
    const waiting = pool.start({ method: 'GET', path: '/' });
    await once(server, 'request');
    waiting.abort(new Error('not wanted'));
    running.abort(new Error('stopping'));
    await assert.rejects(running.response, /stopping/);
    await assert.rejects(waiting.response, /not wanted/);
  });

  it('gives up a response that does not come', async () => {
    const { pool } = await serve(() => undefined, { pauseTimeoutMs: 100 });
    assert.equal((await faultOf(pool.start({ method: 'GET', path: '/' }).response)).code, 'ETIMEDOUT');
  });

  it('fails its calls when it is closed', async () => {
    const { pool, server } = await serve(() => undefined);
    const call = pool.start({ method: 'GET', path: '/' });
    await once(server, 'request');
    pool.close();
    assert.equal((await faultOf(call.response)).code, 'ECONNRESET');
    assert.equal((await faultOf(pool.start({ method: 'GET', path: '/' }).response)).code, 'POOL_CLOSED');
  });
});
