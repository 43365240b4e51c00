import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect as connectTcp, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { type ChannelModel, connect, credentials } from 'amqplib';
import type { Lease } from '../../src/client/lease.ts';
import { closeReasonIn } from '../../src/contract/amqplib-handshake-workaround.ts';
import { PROTOCOL_HEADER } from '../../src/proxy/amqp-frames.ts';
import { AmqpProxy, type AmqpProxyOptions } from '../../src/proxy/amqp-proxy.ts';
import { REVOKER, TEAM, teamNamespace, useInstallation, withPort } from '../support/agent.ts';
import { manage, openConnection } from '../support/broker.ts';
import { makeCertificates } from '../support/certificates.ts';
import { addCleanup } from '../support/cleanup.ts';
import { makeRelay } from '../support/tcp-relay.ts';
import { makeTlsRelay } from '../support/tls-relay.ts';
import { waitUntil } from '../support/watched-installation.ts';

/** How long a client may take to hear why its connection ends, in ms; it waits for a broker some seconds. */
const PATIENCE_MS = 60_000;

describe('the AMQP proxy', function () {
  this.timeout(PATIENCE_MS);
  const installation = useInstallation();

  async function makeLease(): Promise<Lease> {
    return await installation().client(TEAM).lease({ namespace: teamNamespace() });
  }

  /** A proxy for a namespace of its own. */
  async function makeProxy(options: Partial<AmqpProxyOptions> = {}): Promise<AmqpProxy> {
    const proxy = new AmqpProxy({
      lease: options.lease ?? (await makeLease()),
      host: '127.0.0.1',
      port: 0,
      ...options,
    });
    await proxy.start();
    addCleanup(() => proxy.close('The test is over.'));
    return proxy;
  }

  /** The lease with another port in its URLs. */
  function through(lease: Lease, port: number, protocol = 'amqp:'): AmqpProxyOptions['lease'] {
    const urlOf = (): string => withPort(lease.connectionString, port).replace('amqp:', protocol);
    return {
      get connectionString() {
        return urlOf();
      },
      get connectionStrings() {
        return [urlOf()];
      },
      credentials: lease.credentials,
    };
  }

  const portOf = (proxy: AmqpProxy): number => Number(new URL(proxy.url).port);

  function openSocket(port: number): Socket {
    const socket = connectTcp({ port, host: '127.0.0.1', noDelay: true });
    socket.on('error', () => undefined);
    addCleanup(() => void socket.destroy());
    return socket;
  }

  /** Everything that the server sends until it closes, or resets the socket as RabbitMQ may do after its answer. */
  async function received(socket: Socket): Promise<Buffer> {
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of socket) chunks.push(chunk as Buffer);
    } catch (error) {
      if (chunks.length === 0) throw error;
    }
    return Buffer.concat(chunks);
  }

  /** The error with which a connection ends. */
  async function errorOf(connection: ChannelModel): Promise<Error & { code?: number }> {
    // amqplib emits no error for 320.
    const [error] = (await once(connection, 'close')) as [Error & { code?: number }];
    return error;
  }

  /** Publishes a message of this size and consumes it again. */
  async function roundTrip(connection: ChannelModel, namespace: string, bytes: number): Promise<void> {
    const channel = await connection.createConfirmChannel();
    const queue = `queue/${namespace}/round-trip`;
    await channel.assertQueue(queue);
    const content = Buffer.alloc(bytes, 'proxy');
    await channel.bindQueue(queue, await exchangeOf(), '');
    channel.publish(`exchange/${namespace}/round-trip`, '', content);
    await channel.waitForConfirms();
    const message = await channel.get(queue, { noAck: true });
    assert.ok(message !== false && content.equals(message.content));
    await channel.close();

    async function exchangeOf(): Promise<string> {
      return (await channel.assertExchange(`exchange/${namespace}/round-trip`, 'fanout')).exchange;
    }
  }

  it('logs clients in, whatever user, password and mechanism they come with', async () => {
    const lease = await makeLease();
    const proxy = await makeProxy({ lease });
    const vhost = new URL(lease.connectionString).pathname;
    const { username } = new URL(lease.connectionString);
    assert.equal(new URL(proxy.url).pathname, vhost);
    const plain = await openConnection(proxy.url);
    const other = await openConnection(`amqp://any:thing@127.0.0.1:${portOf(proxy)}${vhost}`);
    const amqplain = await connect(proxy.url, { credentials: credentials.amqplain('x', 'y') });
    for (const connection of [plain, other, amqplain]) await roundTrip(connection, lease.namespace, 10);
    await waitUntil(async () => {
      const { body } = await manage(installation().broker, 'GET', `/connections/username/${username}`);
      return (body as unknown[]).length === 3;
    }, 'three connections of the account');
    // Each closes as it does without a proxy, and nothing is left on either side.
    for (const connection of [plain, other, amqplain]) await connection.close();
    await waitUntil(() => proxy.connections === 0, 'no connection is left');
    await waitUntil(async () => {
      const { body } = await manage(installation().broker, 'GET', `/connections/username/${username}`);
      return (body as unknown[]).length === 0;
    }, 'RabbitMQ lists none');
  });

  it('passes on frames of the size that both sides have agreed on', async () => {
    const lease = await makeLease();
    const proxy = await makeProxy({ lease });
    for (const frameMax of [0, 8192, 131_072]) {
      const connection = await openConnection(`${proxy.url}?frameMax=${frameMax}`);
      for (const bytes of [0, frameMax - 8, frameMax, 3_000_000]) {
        if (bytes >= 0) await roundTrip(connection, lease.namespace, bytes);
      }
      await connection.close();
    }
  });

  it('opens the vhost that it was given in place of the one that a client names', async () => {
    const lease = await makeLease();
    const vhost = decodeURIComponent(new URL(lease.connectionString).pathname.slice(1));
    const proxy = await makeProxy({ lease, vhost });
    await roundTrip(await openConnection(`amqp://127.0.0.1:${portOf(proxy)}`), lease.namespace, 10);
    const unchanged = await makeProxy({ lease });
    await assert.rejects(connect(`amqp://127.0.0.1:${portOf(unchanged)}/no-such-vhost`), /./);
  });

  describe('reads what clients begin with', () => {
    /** Header and login of a client that sends all of it at once. */
    const pipelined = Buffer.concat([PROTOCOL_HEADER, startOkOf('PLAIN', '\0any\0thing')]);

    function startOkOf(mechanism: string, response: string): Buffer {
      const payload = Buffer.concat([
        Buffer.from([0, 10, 0, 11, 0, 0, 0, 0, mechanism.length]),
        Buffer.from(mechanism),
        Buffer.from([0, 0, 0, response.length]),
        Buffer.from(response),
        Buffer.from('\x05en_US'),
      ]);
      return Buffer.concat([Buffer.from([1, 0, 0, 0, 0, 0, payload.length]), payload, Buffer.of(0xce)]);
    }

    /** Waits for connection.tune, which follows a login. */
    async function untilTune(socket: Socket): Promise<void> {
      let all = Buffer.alloc(0);
      for await (const chunk of socket) {
        all = Buffer.concat([all, chunk as Buffer]);
        const behindStart = 8 + (all.length < 7 ? Infinity : all.readUInt32BE(3));
        if (all.length >= behindStart + 11) {
          assert.deepEqual([...all.subarray(7, 11)], [0, 10, 0, 10]);
          assert.deepEqual([...all.subarray(behindStart + 7, behindStart + 11)], [0, 10, 0, 30]);
          return;
        }
      }
      assert.fail(`The connection was closed after ${all.toString('latin1')}`);
    }

    it('in one packet', async () => {
      const socket = openSocket(portOf(await makeProxy()));
      socket.write(pipelined);
      await untilTune(socket);
    });

    it('byte by byte', async () => {
      const socket = openSocket(portOf(await makeProxy()));
      const sent = (async () => {
        for (const byte of pipelined) {
          socket.write(Buffer.of(byte));
          await delay(2);
        }
      })();
      await untilTune(socket);
      await sent;
    });

    it('and answers other protocols as RabbitMQ does', async () => {
      const proxy = await makeProxy();
      const begins = {
        'AMQP 0-10': Buffer.from('AMQP\x01\x01\0\x0a', 'latin1'),
        'AMQP 7': Buffer.from('AMQP\0\x07\0\0', 'latin1'),
        // Eight bytes as well: a socket that is closed with unread bytes is reset, and its answer may be lost.
        TLS: Buffer.from('1603010200010000', 'hex'),
        HTTP: Buffer.from('GET / HT'),
      };
      for (const [what, bytes] of Object.entries(begins)) {
        const answers = [portOf(proxy), installation().broker.amqpPort].map(async (port) => {
          const socket = openSocket(port);
          socket.write(bytes);
          return await received(socket);
        });
        const [own, brokers] = await Promise.all(answers);
        assert.deepEqual(own, brokers, what);
        assert.deepEqual(own, PROTOCOL_HEADER, what);
      }
      // RabbitMQ 4 would speak it. The login of AMQP 1.0 is another one.
      const socket = openSocket(portOf(proxy));
      socket.write(Buffer.from('AMQP\x03\x01\0\0', 'latin1'));
      assert.deepEqual(await received(socket), PROTOCOL_HEADER);
      await waitUntil(() => proxy.connections === 0, 'none is left');
    });

    it('and closes a connection that sends no frame of a login', async () => {
      const proxy = await makeProxy();
      for (const bytes of [
        Buffer.alloc(20, 0xff),
        Buffer.alloc(20, 1),
        Buffer.from([1, 0, 0, 0, 0, 0, 4, 0, 10, 0, 40, 0xce]),
      ]) {
        const socket = openSocket(portOf(proxy));
        socket.write(Buffer.concat([PROTOCOL_HEADER, bytes]));
        const { code } = closeReasonIn(await received(socket)) ?? {};
        assert.equal(code, 501);
      }
    });
  });

  it('with a password of its own: 403 for every other one', async () => {
    const lease = await makeLease();
    const proxy = await makeProxy({ lease, password: 'its öwn' });
    const url = new URL(proxy.url);
    assert.equal(decodeURIComponent(url.password), 'its öwn');
    const right = { credentials: credentials.plain('any', 'its öwn') };
    await roundTrip(await connect(proxy.url, right), lease.namespace, 10);
    await (await connect(proxy.url, { credentials: credentials.amqplain('any', 'its öwn') })).close();
    for (const wrong of [
      credentials.plain('any', 'its own'),
      credentials.plain('any', ''),
      credentials.amqplain('any', 'x'),
    ]) {
      await assert.rejects(connect(proxy.url, { credentials: wrong }), /403.*ACCESS.REFUSED.*--password-file/);
    }
    // The client that could log in is not disturbed, and no connection to RabbitMQ is left of the others.
    await waitUntil(() => proxy.connections === 1, 'one is left');
  });

  it('says that the proxy stops', async () => {
    const proxy = await makeProxy();
    const connection = await openConnection(proxy.url);
    const half = openSocket(portOf(proxy));
    half.write(PROTOCOL_HEADER);
    await once(half, 'readable');
    const ends = Promise.all([errorOf(connection), received(half)]);
    const { url } = proxy;
    await proxy.close('The proxy stops.');
    const [error, bytes] = await ends;
    assert.equal(error.code, 320);
    assert.match(error.message, /CONNECTION.FORCED.*The proxy stops\./);
    assert.deepEqual(closeReasonIn(bytes), { code: 320, text: 'CONNECTION_FORCED - The proxy stops.' });
    await assert.rejects(connect(url), /ECONNREFUSED/);
  });

  it('says in the midst of deliveries that the proxy stops, between two frames', async () => {
    const lease = await makeLease();
    const proxy = await makeProxy({ lease });
    const connection = await openConnection(proxy.url);
    const channel = await connection.createChannel();
    const [queue, exchange] = [`queue/${lease.namespace}/many`, `exchange/${lease.namespace}/many`];
    await channel.assertQueue(queue);
    await channel.assertExchange(exchange, 'fanout');
    await channel.bindQueue(queue, exchange, '');
    let delivered = 0;
    await channel.consume(queue, (message) => {
      delivered += 1;
      if (message === null) return;
      channel.ack(message);
      channel.publish(exchange, '', message.content);
    });
    for (let sent = 0; sent < 20; sent += 1) channel.publish(exchange, '', Buffer.alloc(300_000, 'x'));
    const failed = errorOf(connection);
    await waitUntil(() => delivered > 50, 'messages go round');
    await proxy.close('The proxy stops.');
    const error = await failed;
    assert.equal(error.code, 320, error.message);
  });

  describe('without RabbitMQ', () => {
    it('waits some seconds for a new connection, and then says why not', async () => {
      const relay = await makeRelay(installation().broker.amqpPort);
      const lease = await makeLease();
      const proxy = await makeProxy({ lease: through(lease, relay.port) });
      const connection = await openConnection(proxy.url);
      const lost = errorOf(connection);
      relay.cut();
      const error = await lost;
      assert.equal(error.code, 320);
      assert.match(error.message, /The connection to RabbitMQ was lost\./);
      const startedMs = performance.now();
      await assert.rejects(connect(proxy.url), /320.*CONNECTION.FORCED/);
      assert.ok(performance.now() - startedMs > 2000, 'it waits');
      const waiting = connect(proxy.url);
      await delay(300);
      relay.restore();
      await roundTrip(await waiting, lease.namespace, 10);
    });

    it('tries another address', async () => {
      const relays = [await makeRelay(installation().broker.amqpPort), await makeRelay(installation().broker.amqpPort)];
      const lease = await makeLease();
      const urls = relays.map(({ port }) => withPort(lease.connectionString, port));
      const { credentials: claimAgain } = lease;
      const proxy = await makeProxy({
        lease: { connectionString: urls[0] ?? '', connectionStrings: urls, credentials: claimAgain },
      });
      for (const relay of relays) {
        relay.stall();
        await roundTrip(await openConnection(proxy.url), lease.namespace, 10);
        relay.restore();
      }
    });
  });

  it('speaks TLS outward, with the CA that it was given', async () => {
    const certificates = makeCertificates();
    const port = await makeTlsRelay(installation().broker.amqpPort, certificates);
    const lease = await makeLease();
    const outward = through(lease, port, 'amqps:');
    const trusting = await makeProxy({ lease: outward, ca: certificates.ca });
    await roundTrip(await openConnection(trusting.url), lease.namespace, 3_000_000);
    const distrusting = await makeProxy({ lease: outward });
    await assert.rejects(connect(distrusting.url), /320.*does not trust the certificate/);
  });

  it('claims again when RabbitMQ refuses the credentials: after a revocation no login fails', async () => {
    const lease = await makeLease();
    const proxy = await makeProxy({ lease });
    const connection = await openConnection(proxy.url);
    const ended = errorOf(connection);
    await (await installation().rpc(REVOKER)).request('revoke-namespace', { namespace: lease.namespace });
    assert.equal((await ended).code, 320);
    await roundTrip(await openConnection(proxy.url), lease.namespace, 10);
  });

  it('serves a thousand connections in quick succession, and none is left', async () => {
    const proxy = await makeProxy();
    let opened = 0;
    await Promise.all(
      Array.from({ length: 20 }, async () => {
        while (opened < 1000) {
          opened += 1;
          await (await connect(proxy.url)).close();
        }
      }),
    );
    await waitUntil(() => proxy.connections === 0, 'none is left');
  });

  it('holds little for a client that never reads, and serves the others', async () => {
    const lease = await makeLease();
    const proxy = await makeProxy({ lease });
    const connection = await openConnection(proxy.url);
    const channel = await connection.createConfirmChannel();
    const [queue, exchange] = [`queue/${lease.namespace}/many`, `exchange/${lease.namespace}/many`];
    await channel.assertQueue(queue);
    await channel.assertExchange(exchange, 'fanout');
    await channel.bindQueue(queue, exchange, '');
    for (let sent = 0; sent < 100; sent += 1) channel.publish(exchange, '', Buffer.alloc(1_000_000));
    await channel.waitForConfirms();
    const reader = await openConnection(proxy.url);
    const consuming = await reader.createChannel();
    await consuming.consume(queue, () => undefined);
    // From here on it reads nothing.
    (reader.connection as unknown as { stream: Socket }).stream.pause();
    const before = process.memoryUsage.rss();
    await delay(1000);
    await roundTrip(connection, lease.namespace, 100_000);
    const grownMb = (process.memoryUsage.rss() - before) / 2 ** 20;
    assert.ok(grownMb < 60, `${grownMb.toFixed(0)} MB more`);
    await proxy.close('The proxy stops.');
  });
});
