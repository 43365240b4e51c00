import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import net, { type AddressInfo } from 'node:net';
import { createManagement, type Management } from '../../../src/broker/management/management.ts';
import { openTransport, type TransportOptions } from '../../../src/broker/management/open-transport.ts';
import type { ManagementHttp } from '../../../src/broker/management/management-http.ts';
import { AgentError, isAgentError } from '../../../src/util/agent-errors.ts';
import { Secret } from '../../../src/util/secret.ts';
import { waitUntil } from '../../support/watched-installation.ts';

describe('the management API at several addresses', function () {
  this.timeout(30_000);

  const open: (() => void)[] = [];
  afterEach(() => {
    for (const close of open.splice(0)) close();
  });

  interface Node {
    readonly url: string;
    /** Each request, with its method and path. */
    readonly requests: string[];
    /** The requests without those that probe it. */
    readonly calls: () => string[];
    /** `down` refuses connections; `hanging` accepts them and answers nothing. */
    set: (state: 'up' | 'down' | 'hanging' | 'stopping') => Promise<void>;
  }

  const IS_PROBE = /whoami/;

  /** A node that answers every request with its name, and with the status of the path `status/…`. */
  async function makeNode(
    name: string,
    handle: http.RequestListener = (request, response) => {
      const status = Number(/status\/(\d+)/.exec(request.url ?? '')?.[1] ?? 200);
      response.writeHead(status, { 'content-type': 'application/json', vary: 'accept' });
      response.end(request.method === 'GET' ? JSON.stringify({ name, reason: 'none' }) : '');
    },
  ): Promise<Node> {
    const requests: string[] = [];
    let state: 'up' | 'down' | 'hanging' | 'stopping' = 'up';
    const server = http.createServer((request, response) => {
      requests.push(`${request.method} ${request.url}`);
      if (state === 'hanging') return;
      if (state === 'stopping') response.writeHead(404).end();
      else handle(request, response);
    });
    const listen = async (port: number): Promise<void> => {
      server.listen(port, '127.0.0.1');
      await once(server, 'listening');
    };
    await listen(0);
    const { port } = server.address() as AddressInfo;
    const stop = (): void => {
      server.closeAllConnections();
      server.close();
    };
    open.push(stop);
    return {
      url: `http://127.0.0.1:${port}`,
      requests,
      calls: () => requests.filter((request) => !IS_PROBE.test(request)),
      async set(next) {
        const wasDown = state === 'down';
        state = next;
        if (next === 'down') stop();
        else if (wasDown) await listen(port);
      },
    };
  }

  function settingsFor(nodes: readonly Node[], more: Partial<TransportOptions> = {}): TransportOptions {
    const [first = '', ...otherUrls] = nodes.map(({ url }) => url);
    const login = { username: 'agent', password: new Secret('password-of-the-agent') };
    return { url: first, otherUrls, ...login, timeoutMs: 5_000, random: () => 0.5, ...more };
  }

  function transportTo(nodes: readonly Node[], more: Partial<TransportOptions> = {}): ManagementHttp {
    const transport = openTransport(settingsFor(nodes, more));
    open.push(() => transport.close());
    return transport;
  }

  const GET = { method: 'GET', path: ['users', 'a'] } as const;
  const PUT = { method: 'PUT', path: ['users', 'a'], body: { tags: [] } } as const;
  const nameIn = ({ body }: { readonly body: unknown }): unknown => (body as { readonly name?: unknown }).name;

  it('calls the first one, and the next while the first is down, which then gets probes alone', async () => {
    const [first, second] = [await makeNode('first'), await makeNode('second')];
    const transport = transportTo([first, second]);
    assert.equal(nameIn(await transport.send(GET)), 'first');
    assert.equal(transport.shownUrl, first.url);
    await first.set('down');
    for (let calls = 0; calls < 5; calls += 1) assert.equal(nameIn(await transport.send(GET)), 'second');
    assert.equal(transport.shownUrl, second.url);
    await first.set('up');
    await waitUntil(async () => nameIn(await transport.send(GET)) === 'first', 'it returns');
    // No call was spent to learn that it is back.
    assert.deepEqual(first.requests.slice(0, 2), ['GET /api/users/a', 'GET /api/whoami']);
  });

  it('does not return before a probe is answered, with growing pauses between them', async () => {
    const [first, second] = [await makeNode('first'), await makeNode('second')];
    const transport = transportTo([first, second]);
    await first.set('stopping');
    assert.equal(nameIn(await transport.send(GET)), 'second');
    const startedMs = performance.now();
    const probes = (): number => first.requests.length - first.calls().length;
    // The one that confirmed the 404 is no probe.
    await waitUntil(() => probes() === 3, 'two probes');
    assert.ok(performance.now() - startedMs >= 2_900, 'after one second and two more');
    assert.equal(nameIn(await transport.send(GET)), 'second');
    assert.equal(first.calls().length, 1);
  });

  it('names in a refusal the one that answered, whichever answered last', async () => {
    const [first, second] = [await makeNode('first'), await makeNode('second')];
    const transport = transportTo([first, second]);
    const missing = { method: 'GET', path: ['status', '404'] } as const;
    const response = await transport.send(missing);
    await first.set('down');
    await transport.send(GET);
    const { message } = transport.refusal(missing, response);
    assert.ok(message.includes(`GET /api/status/404 at ${first.url} `), message);
  });

  for (const request of [GET, PUT]) {
    it(`sends a ${request.method} to the next one within its time-out, where the first accepts and never answers`, async () => {
      const [first, second] = [await makeNode('first'), await makeNode('second')];
      const transport = transportTo([first, second]);
      await first.set('hanging');
      let sent = 0;
      const response = await transport.send(request, { beforeSend: () => void (sent += 1) });
      assert.deepEqual([response.status, response.from, response.isRepeated], [200, second.url, true]);
      assert.equal(sent, 2, 'the window is checked before each sending');
      // The next call does not wait for it.
      await transport.send(request);
      assert.deepEqual([first.calls().length, second.calls().length], [1, 2]);
    });
  }

  it('moves all calls that wait for one that hangs, once it is known', async () => {
    const [first, second] = [await makeNode('first'), await makeNode('second')];
    const transport = transportTo([first, second], { concurrency: 4 });
    await first.set('hanging');
    const responses = await Promise.all(Array.from({ length: 20 }, () => transport.send(GET)));
    assert.deepEqual([...new Set(responses.map(nameIn))], ['second']);
    assert.equal(first.calls().length, 4);
  });

  it('sends no write after its window, to no address', async () => {
    const [first, second] = [await makeNode('first'), await makeNode('second')];
    const transport = transportTo([first, second]);
    await first.set('down');
    let sent = 0;
    const beforeSend = (): void => {
      sent += 1;
      if (sent > 1) throw new AgentError('WindowClosed', 'too late');
    };
    await assert.rejects(transport.send(PUT, { beforeSend }), (error) => isAgentError(error, 'WindowClosed'));
    assert.deepEqual(second.requests, []);
  });

  it('waits for one that answers slowly, as long as it answers probes', async () => {
    const slow = await makeNode('slow', (request, response) => {
      setTimeout(() => response.end(JSON.stringify({ name: 'slow' })), IS_PROBE.test(request.url ?? '') ? 0 : 3_500);
    });
    const other = await makeNode('other');
    assert.equal(nameIn(await transportTo([slow, other]).send(GET)), 'slow');
    assert.deepEqual(other.requests, []);
  });

  it('asks the next one when a node that stops answers 404', async () => {
    const [first, second] = [await makeNode('first'), await makeNode('second')];
    const transport = transportTo([first, second]);
    await first.set('stopping');
    assert.equal(nameIn(await transport.send(GET)), 'second');
  });

  it('asks the next one after a 500, and prefers the first all the same', async () => {
    const failing = await makeNode('failing', (_request, response) => response.writeHead(500).end('{}'));
    const other = await makeNode('other');
    const transport = transportTo([failing, other]);
    for (let calls = 0; calls < 2; calls += 1) assert.equal(nameIn(await transport.send(GET)), 'other');
    assert.equal(failing.calls().length, 2);
  });

  it('repeats no call that was refused', async () => {
    const [first, second] = [await makeNode('first'), await makeNode('second')];
    const transport = transportTo([first, second]);
    const refused = transport.send({ method: 'GET', path: ['status', '400'] });
    await assert.rejects(refused, (error) => isAgentError(error, 'BrokerRefused'));
    assert.deepEqual(second.requests, []);
  });

  it('repeats no listing of which elements were passed on', async () => {
    let breakOff = (): void => undefined;
    const first = await makeNode('first', (request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.write('[{"name":"a"},');
      breakOff = () => request.socket.destroy();
    });
    const second = await makeNode('second', (_request, response) => response.end('[{"name":"a"}]'));
    const transport = transportTo([first, second]);
    const elements: unknown[] = [];
    const list = transport.sendForList({ method: 'GET', path: ['users'] }, (element) => {
      elements.push(element);
      breakOff();
    });
    await assert.rejects(list, (error) => isAgentError(error, 'BrokerUnavailable'));
    assert.equal(elements.length, 1);
    await transport.sendForList({ method: 'GET', path: ['users'] }, (element) => void elements.push(element));
    assert.equal(elements.length, 2);
  });

  it('reports that no address answers, and that one does again', async () => {
    const nodes = [await makeNode('first'), await makeNode('second')];
    const reported: boolean[] = [];
    const transport = transportTo(nodes, { onReachable: (isReachable) => void reported.push(isReachable) });
    await transport.send(GET);
    for (const node of nodes) await node.set('down');
    await assert.rejects(transport.send(GET), (error) => isAgentError(error, 'BrokerUnavailable'));
    assert.deepEqual(reported, [false]);
    await nodes[1]?.set('up');
    await waitUntil(() => reported.length === 2, 'a probe is answered');
    assert.deepEqual(reported, [false, true]);
    assert.equal(nameIn(await transport.send(GET)), 'second');
  });

  it('reports it of a single address, too, and still sends calls there', async () => {
    const node = await makeNode('only');
    const reported: boolean[] = [];
    const transport = transportTo([node], { onReachable: (isReachable) => void reported.push(isReachable) });
    await node.set('down');
    await assert.rejects(transport.send(GET), (error) => isAgentError(error, 'BrokerUnavailable'));
    await node.set('up');
    assert.equal(nameIn(await transport.send(GET)), 'only');
    assert.deepEqual(reported, [false, true]);
  });

  it('notices that a single address hangs, and does not give up the call that waits', async () => {
    const node = await makeNode('only');
    const reported: boolean[] = [];
    const transport = transportTo([node], { onReachable: (isReachable) => void reported.push(isReachable) });
    await node.set('hanging');
    const call = assert.rejects(transport.send(GET), /within 5000 ms/);
    await waitUntil(() => reported.length === 1, 'it is reported before the time-out');
    await call;
    assert.deepEqual(node.calls(), ['GET /api/users/a']);
  });

  it('aborts a call with the reason of its signal', async () => {
    const [first, second] = [await makeNode('first'), await makeNode('second')];
    const transport = transportTo([first, second]);
    await first.set('hanging');
    const controller = new AbortController();
    const call = transport.send(GET, { signal: controller.signal });
    controller.abort(new Error('not wanted'));
    await assert.rejects(call, /not wanted/);
    assert.deepEqual(second.requests, []);
  });

  it('names a certificate that is not trusted, where no address can be used', async () => {
    // A server of another protocol: what it sends is no TLS.
    const other = net.createServer((socket) => socket.end('AMQP'));
    other.listen(0, '127.0.0.1');
    await once(other, 'listening');
    open.push(() => other.close());
    const url = `https://127.0.0.1:${(other.address() as AddressInfo).port}`;
    const transport = openTransport({ ...settingsFor([]), url, otherUrls: ['https://127.0.0.1:1'] });
    open.push(() => transport.close());
    await assert.rejects(transport.send(GET), (error) => error instanceof AgentError);
  });

  describe('whose answer to a write is lost', () => {
    let nodes: readonly [Node, Node];
    let management: Management;
    beforeEach(async () => {
      const second = await makeNode('second', (request, response) => {
        response.writeHead(IS_PROBE.test(request.url ?? '') ? 200 : answer, { vary: 'accept' }).end();
      });
      // It may do what it is asked for, and answers nothing.
      nodes = [await makeNode('first'), second];
      management = createManagement(settingsFor(nodes));
      open.push(() => management.close());
      await nodes[0].set('hanging');
    });
    let answer = 204;

    it('takes the user for a new one, whose permissions are not there yet', async () => {
      answer = 204;
      const user = { passwordHash: 'hash', hashingAlgorithm: 'rabbit_password_hashing_sha256', tags: [] } as const;
      assert.equal(await management.putUser('a', user), 'created');
      assert.equal(await management.putUser('a', user), 'updated');
    });

    it('takes what is missing then for deleted', async () => {
      answer = 404;
      assert.equal(await management.deleteUser('a'), true);
      assert.equal(await management.deleteUser('a'), false);
    });
  });
});
