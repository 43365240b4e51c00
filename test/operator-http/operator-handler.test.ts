import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type IncomingMessage, request, type RequestOptions } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as z from 'zod';
import { createHttpServer, type HttpServer, textAnswer } from '../../src/observe/http-server.ts';
import type { ApiEndpoint } from '../../src/operator-api/endpoint.ts';
import { createEventRing } from '../../src/operator-http/event-ring.ts';
import { createEventStream } from '../../src/operator-http/event-stream.ts';
import { createOperatorHandler } from '../../src/operator-http/operator-handler.ts';
import { createPageFiles } from '../../src/operator-http/page-files.ts';
import { createTokenCheck } from '../../src/operator-http/token-check.ts';
import { AgentError } from '../../src/util/agent-errors.ts';
import { systemClock } from '../../src/util/clock.ts';
import { createLog } from '../../src/util/log.ts';
import { Secret } from '../../src/util/secret.ts';
import { createTestLog } from '../support/test-log.ts';

const TOKEN = 'the-token-of-operators-0123456789+/=';
const PAGE = '<!doctype html><title>Pulse Agent</title>';

/** An answer, whatever its status. */
interface Got {
  readonly status: number | undefined;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

describe('the page for operators, over HTTP', () => {
  const { lines, write } = createTestLog();
  const folder = mkdtempSync(join(tmpdir(), 'pulse-agent-page-'));
  let server: HttpServer;
  let isStarting = false;
  let passedMs = 0;
  let read: ApiEndpoint['read'] = async () => ({});

  const endpoint = (path: string, more: Partial<ApiEndpoint>): ApiEndpoint => ({
    path,
    summary: '',
    query: z.strictObject({}),
    answer: z.strictObject({ at: z.string() }),
    read: async () => ({ at: 'now' }),
    ...more,
  });
  const endpoints: readonly ApiEndpoint[] = [
    endpoint('/api/v1/overview', {}),
    endpoint('/api/v1/namespaces/:name', {
      query: z.strictObject({ name: z.string(), limit: z.string().regex(/^\d+$/).optional() }),
      answer: z.strictObject({ seen: z.string() }),
      read: async (query) => ({ seen: JSON.stringify(query) }),
    }),
    endpoint('/api/v1/given', { read: (...given) => read(...given) }),
  ];

  before(async () => {
    const log = createLog({ id: 'pulse-agent', logLevel: 'trace' }, { write });
    const clock = { ...systemClock, monotonicMs: () => systemClock.monotonicMs() + passedMs };
    const parts = { clock, sleep: async () => undefined, log };
    const ring = createEventRing('agent-1', { agents: 'own' });
    server = createHttpServer({
      host: '127.0.0.1',
      port: 0,
      routes: { '/healthz': () => textAnswer(200, 'alive') },
      log,
    });
    server.mount(
      createOperatorHandler({
        settings: { httpHost: '127.0.0.1', operatorHosts: [] },
        checkToken: createTokenCheck({ ...parts, token: new Secret(TOKEN) }),
        endpoints: () => (isStarting ? undefined : endpoints),
        events: createEventStream({ ...parts, instance: 'agent-1', ring }),
        files: createPageFiles(folder),
        log,
      }),
    );
    await server.start();
  });
  after(async () => {
    await server.close();
    rmSync(folder, { recursive: true });
  });
  beforeEach(() => {
    lines.length = 0;
    // Wrong tokens of another test are forgotten.
    passedMs += 60_000;
    isStarting = false;
    read = async () => ({ at: 'now' });
  });

  const send = async (path: string, options: RequestOptions = {}, body = ''): Promise<Got> => {
    const sent = request({ port: server.port, path, agent: false, ...options });
    sent.end(body);
    const [response] = (await once(sent, 'response')) as [IncomingMessage];
    let text = '';
    for await (const part of response) text += String(part);
    return { status: response.statusCode, headers: response.headers, body: text };
  };
  const ask = (path: string, headers: Record<string, string> = {}): Promise<Got> =>
    send(path, { headers: { authorization: `Bearer ${TOKEN}`, ...headers } });
  const codeOf = ({ body }: Got): string => (JSON.parse(body) as { error: { code: string } }).error.code;

  describe('files', () => {
    it('are missing in a working copy without a build, with what to do', async () => {
      const { status, body } = await send('/');
      assert.equal(status, 503);
      assert.match(body, /npm run build/);
    });

    it('are served from then on, with a tag, and packed for those that can unpack', async () => {
      writeFileSync(join(folder, 'index.html'), PAGE);
      writeFileSync(join(folder, 'page.js'), 'export {};');
      writeFileSync(join(folder, 'notes.txt'), 'not for browsers');
      mkdirSync(join(folder, 'nested.js'));
      rmSync(join(folder, 'nested.js'), { recursive: true });
      const page = await send('/');
      assert.deepEqual([page.status, page.body], [200, PAGE]);
      assert.equal(page.headers['content-type'], 'text/html; charset=utf-8');
      assert.equal(page.headers['cache-control'], 'no-cache');
      const { etag = '' } = page.headers;
      const again = await send('/', { headers: { 'if-none-match': `W/"x", ${etag}` } });
      assert.deepEqual([again.status, again.body], [304, '']);
      const packed = await send('/page.js', { headers: { 'accept-encoding': 'br, gzip' } });
      assert.equal(packed.headers['content-encoding'], 'gzip');
      assert.equal((await send('/page.js', { headers: { 'accept-encoding': 'gzip;q=0' } })).body, 'export {};');
      assert.equal((await send('/page.js', { method: 'HEAD' })).status, 200);
    });

    for (const path of [
      '/notes.txt',
      '/../package.json',
      '/%2e%2e/package.json',
      '/..%2fpackage.json',
      '//etc/passwd',
      '/page.js/',
      '/page%00.js',
      '/constructor',
      '/__proto__',
      '/index.html.gz',
      '/.git/config',
      '/PAGE.JS',
    ]) {
      it(`are no other than those of the page: ${path}`, async () => {
        const got = await send(path);
        assert.deepEqual([got.status, codeOf(got)], [404, 'ResourceNotFound']);
      });
    }
  });

  it('every answer has the headers that keep a page to itself', async () => {
    for (const path of ['/', '/nowhere', '/api/v1/overview', '/api/v1/nowhere', '/api/v1/events?types=x']) {
      const { headers } = await ask(path);
      assert.match(headers['content-security-policy'] as string, /^default-src 'none'; script-src 'self';/, path);
      assert.match(headers['content-security-policy'] as string, /frame-ancestors 'none'$/);
      assert.equal(headers['x-content-type-options'], 'nosniff');
      assert.equal(headers['referrer-policy'], 'no-referrer');
      assert.equal(headers['cross-origin-opener-policy'], 'same-origin');
      assert.equal(headers['cross-origin-resource-policy'], 'same-origin');
      assert.equal(headers['set-cookie'], undefined);
      assert.equal(headers['access-control-allow-origin'], undefined);
    }
    assert.equal((await ask('/api/v1/overview')).headers['cache-control'], 'no-store');
  });

  describe('data', () => {
    it('are for those who have the token', async () => {
      const { status, headers, body } = await ask('/api/v1/overview');
      assert.deepEqual([status, body], [200, '{"at":"now"}']);
      assert.equal(headers['content-type'], 'application/json');
    });

    for (const [what, headers] of [
      ['no token', {}],
      ['another one', { authorization: `Bearer ${TOKEN.replace('0', '1')}` }],
      ['a part of it', { authorization: `Bearer ${TOKEN.slice(0, -1)}` }],
      ['more than it', { authorization: `Bearer ${TOKEN}x` }],
      ['an empty one', { authorization: 'Bearer ' }],
      ['another scheme', { authorization: `Basic ${TOKEN}` }],
      ['two', { authorization: `Bearer ${TOKEN} ${TOKEN}` }],
      ['a cookie', { cookie: `token=${TOKEN}` }],
    ] as const) {
      it(`are refused with ${what}`, async () => {
        for (const path of ['/api/v1/overview', '/api/v1/events', '/api/v1/nowhere', '/api/']) {
          const got = await send(path, { headers });
          assert.deepEqual([got.status, codeOf(got)], [401, 'AuthenticationFailed'], path);
          assert.match(got.headers['www-authenticate'] ?? '', /^Bearer/);
        }
      });
    }

    it('have no place for the token in the path or the query', async () => {
      assert.equal((await send(`/api/v1/overview?token=${TOKEN}`)).status, 401);
    });

    it('are refused when many tokens were wrong; the right one is served all the same', async () => {
      const statuses = new Map<number | undefined, number>();
      for (let count = 0; count < 60; count += 1) {
        const { status, headers } = await send('/api/v1/overview', { headers: { authorization: 'Bearer x' } });
        statuses.set(status, (statuses.get(status) ?? 0) + 1);
        if (status === 429) assert.ok(Number(headers['retry-after']) >= 1);
      }
      assert.ok((statuses.get(429) ?? 0) > 20, JSON.stringify([...statuses]));
      assert.equal((await ask('/api/v1/overview')).status, 200);
      assert.ok(!lines.join('').includes(TOKEN));
    });

    for (const [path, status] of [
      ['/api', 404],
      ['/api/', 404],
      ['/api/v2/overview', 404],
      ['/api/v1/overview/', 404],
      ['/api/v1/../v1/overview', 404],
      ['/api/v1/namespaces/', 404],
      ['/api/v1/namespaces/a/b', 404],
      ['/api/v1/namespaces/%', 404],
      ['/api/v1/overview?x=1', 400],
      ['/api/v1/overview?__proto__=1', 400],
      ['/api/v1/overview?constructor', 400],
      ['/api/v1/namespaces/a?limit=1&limit=2', 400],
      ['/api/v1/namespaces/a?limit=-1', 400],
      ['/api/v1/namespaces/a?name=b', 400],
      ['/api/v1/namespaces/a?limit=%ff', 400],
      ['/api/v1/events?types=queue.unknown', 400],
      ['/api/v1/events?after=', 400],
      ['/api/v1/events?since=1', 400],
      [`/api/v1/events?after=${'x'.repeat(301)}`, 400],
    ] as const) {
      it(`${path.slice(0, 60)} is ${status}`, async () => {
        const got = await ask(path);
        assert.equal(got.status, status, got.body);
        assert.match(codeOf(got), status === 404 ? /^ResourceNotFound$/ : /^InputError$/);
      });
    }

    it('name the parameter that is unknown', async () => {
      assert.match((await ask('/api/v1/overview?colour=1')).body, /no parameter colour/);
    });

    it('get the parameters of path and query', async () => {
      const { body } = await ask('/api/v1/namespaces/a%2Fb%3Cscript%3E?limit=7');
      assert.deepEqual(JSON.parse(JSON.parse(body).seen), { name: 'a/b<script>', limit: '7' });
    });

    it('that are not as their schema says do not leave the agent', async () => {
      read = async () => ({ at: 'now', contact: 'someone@example.com' });
      const got = await ask('/api/v1/given');
      assert.deepEqual([got.status, codeOf(got)], [500, 'InternalServerError']);
      assert.ok(!got.body.includes('example.com'));
      assert.ok(lines.some((line) => line.includes('http_request_failed')));
    });

    for (const [what, outcome, status, code] of [
      ['the store', new AgentError('StoreUnavailable', 'The store does not answer.'), 503, 'StoreUnavailable'],
      ['a defect', new Error('a defect with detail'), 500, 'InternalServerError'],
      ['nothing', undefined, 404, 'ResourceNotFound'],
    ] as const) {
      it(`say so when there is ${what} in the way`, async () => {
        read = async () => {
          if (outcome !== undefined) throw outcome;
          return undefined;
        };
        const got = await ask('/api/v1/given');
        assert.deepEqual([got.status, codeOf(got)], [status, code]);
        assert.ok(!got.body.includes('detail'));
      });
    }

    it('that take long are limited in number, and abandoned when no client waits for them', async () => {
      const running = new Set<AbortSignal>();
      read = async (_query, signal) => {
        running.add(signal);
        await once(signal, 'abort');
        throw signal.reason;
      };
      const sockets = Array.from({ length: 100 }, () => {
        const socket = connect({ port: server.port ?? 0 });
        socket.write(`GET /api/v1/given HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ${TOKEN}\r\n\r\n`);
        return socket;
      });
      const answers = sockets.map(async (socket) => String((await once(socket, 'data'))[0]));
      const busy = await Promise.race(answers);
      assert.match(busy, /^HTTP\/1\.1 503 .*retry-after: 1\r\n/s);
      assert.ok(running.size <= 8, `${running.size} at the same time`);
      assert.equal((await send('/healthz')).status, 200);
      for (const promise of answers) promise.catch(() => undefined);
      for (const socket of sockets) socket.destroy();
      while ([...running].some(({ aborted }) => !aborted)) await new Promise((resolve) => setImmediate(resolve));
      read = async () => ({ at: 'now' });
      assert.equal((await ask('/api/v1/given')).status, 200);
      // A client that goes is no failure of the agent.
      assert.deepEqual(lines, []);
    });

    it('are there once the agent has started', async () => {
      isStarting = true;
      const got = await ask('/api/v1/overview');
      assert.deepEqual([got.status, codeOf(got)], [503, 'Unavailable']);
      assert.ok(got.headers['retry-after']);
    });
  });

  describe('requests of another form', () => {
    for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS', 'TRACE', 'PATCH']) {
      it(`${method} is 405, without and with a token`, async () => {
        for (const path of ['/', '/api/v1/overview']) {
          const got = await send(path, { method, headers: { authorization: `Bearer ${TOKEN}` } });
          assert.deepEqual([got.status, got.headers.allow], [405, 'GET, HEAD']);
        }
      });
    }

    it('a preflight gets no permission', async () => {
      const { headers } = await send('/api/v1/overview', {
        method: 'OPTIONS',
        headers: { origin: 'https://evil.example', 'access-control-request-headers': 'authorization' },
      });
      assert.deepEqual(
        Object.keys(headers).filter((name) => name.startsWith('access-control')),
        [],
      );
    });

    it('a body is not taken, and ends the connection', async () => {
      const got = await send('/api/v1/overview', { method: 'GET', headers: { 'content-length': '3' } }, 'abc');
      assert.deepEqual([got.status, got.headers.connection], [400, 'close']);
    });

    it('the host of a stranger is 421, and health is answered all the same', async () => {
      assert.equal((await ask('/api/v1/overview', { host: 'evil.example' })).status, 421);
      assert.equal((await send('/', { headers: { host: 'evil.example' } })).status, 421);
      assert.equal((await send('/healthz', { headers: { host: 'evil.example' } })).status, 200);
    });

    it('a request of another site is 403', async () => {
      assert.equal((await ask('/api/v1/overview', { 'sec-fetch-site': 'cross-site' })).status, 403);
    });

    for (const [what, text, status] of [
      ['a line that is no request', 'hello\r\n\r\n', 400],
      [
        'an address in place of a path',
        'GET http://localhost/api/v1/overview HTTP/1.1\r\nhost: localhost\r\n\r\n',
        404,
      ],
      ['no path', 'GET * HTTP/1.1\r\nhost: localhost\r\n\r\n', 404],
      ['no Host', 'GET / HTTP/1.1\r\n\r\n', 400],
      ['no Host in an old version', 'GET / HTTP/1.0\r\n\r\n', 400],
      ['large headers', `GET / HTTP/1.1\r\nhost: localhost\r\nx: ${'x'.repeat(20_000)}\r\n\r\n`, 431],
      ['a large path', `GET /${'x'.repeat(20_000)} HTTP/1.1\r\nhost: localhost\r\n\r\n`, 431],
      ['two lengths', 'GET / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n', 400],
      ['a body in parts', 'GET / HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n', 400],
      [
        'another protocol',
        'GET / HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n',
        200,
      ],
    ] as const) {
      it(`${what} is ${status}`, async () => {
        const socket = connect({ port: server.port ?? 0 });
        socket.write(text);
        const [answer] = (await once(socket, 'data')) as [Buffer];
        socket.destroy();
        assert.equal(answer.toString().slice(9, 12), String(status));
        assert.equal((await send('/healthz')).status, 200);
      });
    }
  });
});
