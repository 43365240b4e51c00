import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import http from 'node:http';
import { inspect } from 'node:util';
import { pino } from 'pino';
import { BrokerRefusal, createManagementHttp } from '../../../src/broker/management/management-http.ts';
import { AgentError, isAgentError } from '../../../src/util/agent-errors.ts';
import { Secret } from '../../../src/util/secret.ts';

const PASSWORD = 'sesame-open';
const HASH = 'kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30';
const PUT = { method: 'PUT', path: ['users', 'x'], body: { password_hash: HASH, tags: [] } } as const;
const GET = { method: 'GET', path: ['whoami'] } as const;

const answer = (response: http.ServerResponse, status: number, body: unknown = {}): void => {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
};
const failureOf = async (work: Promise<unknown>): Promise<AgentError> => {
  const error: unknown = await work.then(
    () => assert.fail('it should fail'),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof AgentError);
  return error;
};

const secretsIn = (error: unknown): string[] => {
  const lines: string[] = [];
  const log = pino({ base: null }, { write: (line: string) => void lines.push(line) });
  log.error({ err: error }, 'failed');
  log.error(error);
  const printed = [
    inspect(error, { depth: 20, showHidden: true }),
    JSON.stringify(error),
    String(error instanceof Error ? error.stack : error),
    ...lines,
  ].join('\n');
  const token = Buffer.from(`agent:${PASSWORD}`).toString('base64');
  return [PASSWORD, HASH, token, 'Authorization', 'password_hash'].filter((secret) => printed.includes(secret));
};

describe('management transport', () => {
  const open: (() => void)[] = [];
  afterEach(() => {
    for (const close of open.splice(0)) close();
  });

  const serve = async (
    handler: http.RequestListener,
    settings: { timeoutMs?: number; concurrency?: number } = {},
  ): Promise<ReturnType<typeof createManagementHttp>> => {
    const server = http.createServer(handler);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    assert.ok(address !== null && typeof address === 'object');
    const transport = createManagementHttp({
      url: `http://127.0.0.1:${address.port}/`,
      username: 'agent',
      password: new Secret(PASSWORD),
      timeoutMs: 5000,
      ...settings,
    });
    open.push(() => {
      transport.close();
      server.closeAllConnections();
      server.close();
    });
    return transport;
  };
  it('uses the first of two states of one queue, and ignores one in a name', async () => {
    const name = '"state":"down","state":"running"';
    const written = JSON.stringify(name);
    const transport = await serve((_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(
        `[{"messages":0,"name":${written},"state":"down","state":"running"},{"name":"b","state":"running"}]`,
      );
    });
    const listed = [
      { messages: 0, name, state: 'down' },
      { name: 'b', state: 'running' },
    ];
    assert.deepEqual((await transport.send(GET)).body, listed);
    const elements: unknown[] = [];
    await transport.sendForList(GET, (element) => void elements.push(element));
    assert.deepEqual(elements, listed);
  });

  it('passes on the elements of a listing as they arrive', async () => {
    const halfway = new EventEmitter();
    const arrived = once(halfway, 'element');
    const transport = await serve((_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.write('[{"name":"first"},');
      void arrived.then(() => response.end('{"name":"second"}]'));
    });
    const elements: unknown[] = [];
    const got = await transport.sendForList(GET, (element) => {
      elements.push(element);
      halfway.emit('element');
    });
    assert.deepEqual(got, { status: 200, from: transport.shownUrl, body: undefined });
    assert.deepEqual(elements, [{ name: 'first' }, { name: 'second' }]);
  });

  it('rejects when a listing is cut off, times out or is aborted, and releases the semaphore', async () => {
    const begun = new EventEmitter();
    const transport = await serve(
      (request, response) => {
        if (request.url === '/api/whoami') return answer(response, 200);
        response.writeHead(200, { 'content-type': 'application/json' });
        response.write('[{"name":"first"},');
        begun.emit('list');
        if (request.url === '/api/cut') setImmediate(() => response.destroy());
        return undefined;
      },
      { concurrency: 1 },
    );
    const list = (name: string, options: { signal?: AbortSignal; timeoutMs?: number } = {}) =>
      transport.sendForList({ method: 'GET', path: [name] }, () => undefined, options);
    const cut = await failureOf(list('cut'));
    assert.equal(cut.code, 'BrokerUnavailable');
    assert.match(cut.message, /cannot be reached \(/);
    const slow = await failureOf(list('slow', { timeoutMs: 200 }));
    assert.equal(slow.code, 'BrokerUnavailable');
    assert.match(slow.message, /did not answer GET \/api\/slow within 200 ms/);
    const unwanted = new AbortController();
    const listing = list('unwanted', { signal: unwanted.signal });
    await once(begun, 'list');
    unwanted.abort(new Error('It is not wanted.'));
    await assert.rejects(listing, /It is not wanted/);
    assert.equal((await transport.send(GET)).status, 200);
  });

  it('reports the refusal of a listing, and a response that is no array', async () => {
    const transport = await serve((request, response) => {
      if (request.url === '/api/refused') answer(response, 401, { error: 'not_authorised', reason: `for ${PASSWORD}` });
      else if (request.url === '/api/missing') answer(response, 404, { error: 'Object Not Found' });
      else answer(response, 200, { no: 'list' });
    });
    const list = (name: string) => transport.sendForList({ method: 'GET', path: [name] }, () => assert.fail());
    const refused = await failureOf(list('refused'));
    assert.ok(refused instanceof BrokerRefusal && refused.status === 401);
    assert.match(refused.message, /for \[secret\]/);
    const missing = { status: 404, from: transport.shownUrl, body: { error: 'Object Not Found' }, isOfResource: false };
    assert.deepEqual(await list('missing'), missing);
    assert.notEqual((await list('other')).body, undefined);
  });

  it('sends the credentials with the first request, encodes names, and reads JSON', async () => {
    const seen: (string | undefined)[] = [];
    const transport = await serve((request, response) => {
      seen.push(request.url, request.headers.authorization);
      answer(response, 200, { name: 'agent' });
    });
    const got = await transport.send({
      method: 'GET',
      path: ['queues', '/', 'queue/a b#/%?'],
      query: { columns: 'name' },
    });
    assert.deepEqual(got, { status: 200, from: transport.shownUrl, body: { name: 'agent' } });
    assert.deepEqual(seen, [
      '/api/queues/%2F/queue%2Fa%20b%23%2F%25%3F?columns=name',
      `Basic ${Buffer.from(`agent:${PASSWORD}`).toString('base64')}`,
    ]);
  });

  it('rejects names that a URL would resolve to a parent', async () => {
    let requests = 0;
    const transport = await serve((_request, response) => {
      requests += 1;
      answer(response, 204);
    });
    for (const name of ['', '.', '..']) {
      const error = await failureOf(transport.send({ method: 'DELETE', path: ['queues', '/', name] }));
      assert.equal(error.code, 'BrokerRefused');
    }
    assert.equal(requests, 0);
  });

  it('reports a refusal with status and reason, without a secret that the response echoes', async () => {
    const transport = await serve((_request, response) =>
      answer(response, 400, { error: 'bad_request', reason: `hash ${HASH} of ${PASSWORD} is odd` }),
    );
    const error = await failureOf(transport.send(PUT));
    assert.ok(error instanceof BrokerRefusal);
    assert.equal(error.status, 400);
    assert.equal(error.reason, 'hash [secret] of [secret] is odd');
    assert.deepEqual(secretsIn(error), []);
  });

  it('returns a 404, and reports 5xx as unavailable and a redirect as refused', async () => {
    let status = 404;
    const transport = await serve((_request, response) => answer(response, status));
    assert.equal((await transport.send(GET)).status, 404);
    status = 503;
    assert.equal((await failureOf(transport.send(PUT))).code, 'BrokerUnavailable');
    status = 307;
    assert.equal((await failureOf(transport.send(PUT))).code, 'BrokerRefused');
  });

  it('prints no secret when the network fails', async () => {
    const dropping = await serve((request) => request.socket.destroy());
    const slow = await serve(() => undefined, { timeoutMs: 50 });
    const absent = createManagementHttp({
      url: `http://agent:${PASSWORD}@127.0.0.1:1/`,
      username: 'agent',
      password: new Secret(PASSWORD),
      timeoutMs: 5000,
    });
    for (const transport of [dropping, slow, absent]) {
      const error = await failureOf(transport.send(PUT));
      assert.equal(error.code, 'BrokerUnavailable');
      assert.deepEqual(secretsIn(error), []);
    }
  });

  it('limits concurrent calls, and counts the wait against the time-out', async () => {
    const held: http.ServerResponse[] = [];
    const bell = new EventEmitter();
    const both = once(bell, 'two');
    const transport = await serve(
      (_request, response) => {
        held.push(response);
        if (held.length === 2) bell.emit('two');
      },
      { concurrency: 2 },
    );
    const running = [transport.send(GET), transport.send(GET)];
    await both;
    const error = await failureOf(transport.send(GET, { timeoutMs: 30 }));
    assert.equal(error.code, 'BrokerUnavailable');
    assert.equal(held.length, 2);
    for (const response of held) answer(response, 200);
    await Promise.all(running);
  });

  it('calls beforeSend after the wait, and sends nothing when it throws', async () => {
    let requests = 0;
    const held: http.ServerResponse[] = [];
    const bell = new EventEmitter();
    const first = once(bell, 'one');
    const transport = await serve(
      (_request, response) => {
        requests += 1;
        held.push(response);
        bell.emit('one');
      },
      { concurrency: 1 },
    );
    const running = transport.send(GET);
    await first;
    let asked = 0;
    const vetoed = transport.send(PUT, {
      beforeSend: () => {
        asked += 1;
        throw new AgentError('WindowClosed', 'Too late.');
      },
    });
    assert.equal(asked, 0);
    for (const response of held) answer(response, 200);
    await running;
    assert.ok(isAgentError(await failureOf(vetoed), 'WindowClosed'));
    assert.equal(asked, 1);
    assert.equal(requests, 1);
  });

  it("rejects with the signal's reason, waiting or in flight", async () => {
    const bell = new EventEmitter();
    const first = once(bell, 'one');
    const transport = await serve(() => void bell.emit('one'), { concurrency: 1 });
    const stop = new AbortController();
    const calls = [transport.send(GET, { signal: stop.signal }), transport.send(GET, { signal: stop.signal })];
    const ended = calls.map((call) => assert.rejects(call, /stopping/));
    await first;
    stop.abort(new Error('stopping'));
    await Promise.all(ended);
    await assert.rejects(transport.send(GET, { signal: stop.signal }), /stopping/);
  });

  it('retries, after beforeSend, when the server has closed an idle connection', async () => {
    const used = new WeakSet<object>();
    let drop = true;
    const handler: http.RequestListener = (request, response) => {
      if (used.has(request.socket) && drop) {
        drop = false;
        request.socket.resetAndDestroy();
        return;
      }
      used.add(request.socket);
      answer(response, 204);
    };
    // With one connection, the second request has to use it again.
    const transport = await serve(handler, { concurrency: 1 });
    await transport.send(PUT);
    let asked = 0;
    const beforeSend = () => {
      asked += 1;
    };
    assert.equal((await transport.send(PUT, { beforeSend })).status, 204);
    assert.equal(asked, 2);
  });
});
