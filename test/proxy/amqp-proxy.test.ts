import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import type { Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { connect, credentials } from 'amqplib';
import type { Lease } from '../../src/client/lease.ts';
import { closeReasonIn } from '../../src/contract/amqplib-handshake-workaround.ts';
import { PROTOCOL_HEADER } from '../../src/proxy/amqp-frames.ts';
import type { AmqpProxy, AmqpProxyOptions } from '../../src/proxy/amqp-proxy.ts';
import { useInstallation } from '../support/agent.ts';
import { manage, openConnection } from '../support/broker.ts';
import { makeCertificates } from '../support/certificates.ts';
import {
  errorOf,
  makeLease,
  makeProxy,
  openSocket,
  portOf,
  received,
  roundTrip,
  through,
} from '../support/proxy-room.ts';
import { makeTlsRelay } from '../support/tls-relay.ts';
import { waitUntil } from '../support/watched-installation.ts';

/** How long a client may take to hear why its connection ends, in ms. */
const PATIENCE_MS = 60_000;

describe('the AMQP proxy', function () {
  this.timeout(PATIENCE_MS);
  const installation = useInstallation();

  const leased = (): Promise<Lease> => makeLease(installation());

  /** A proxy for a namespace of its own. */
  async function proxyWith(options: Partial<AmqpProxyOptions> = {}): Promise<AmqpProxy> {
    return await makeProxy({ lease: options.lease ?? (await leased()), ...options });
  }

  it('logs clients in, whatever user, password and mechanism they come with', async () => {
    const lease = await leased();
    const proxy = await proxyWith({ lease });
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
    const lease = await leased();
    const proxy = await proxyWith({ lease });
    for (const frameMax of [0, 8192, 131_072]) {
      const connection = await openConnection(`${proxy.url}?frameMax=${frameMax}`);
      for (const bytes of [0, frameMax - 8, frameMax, 3_000_000]) {
        if (bytes >= 0) await roundTrip(connection, lease.namespace, bytes);
      }
      await connection.close();
    }
  });

  it('opens the vhost that it was given in place of the one that a client names', async () => {
    const lease = await leased();
    const vhost = decodeURIComponent(new URL(lease.connectionString).pathname.slice(1));
    const proxy = await proxyWith({ lease, vhost });
    await roundTrip(await openConnection(`amqp://127.0.0.1:${portOf(proxy)}`), lease.namespace, 10);
    const unchanged = await proxyWith({ lease });
    await assert.rejects(connect(`amqp://127.0.0.1:${portOf(unchanged)}/no-such-vhost`), /./);
  });

  it('with a password of its own: 403 for every other one', async () => {
    const lease = await leased();
    const proxy = await proxyWith({ lease, password: 'its öwn' });
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
    const proxy = await proxyWith();
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
    const lease = await leased();
    const proxy = await proxyWith({ lease });
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

  it('speaks TLS outward, with the CA that it was given', async () => {
    const certificates = makeCertificates();
    const port = await makeTlsRelay(installation().broker.amqpPort, certificates);
    const lease = await leased();
    const outward = through(lease, [port], 'amqps:');
    const trusting = await proxyWith({ lease: outward, ca: certificates.ca });
    await roundTrip(await openConnection(trusting.url), lease.namespace, 3_000_000);
    const distrusting = await proxyWith({ lease: outward });
    await assert.rejects(connect(distrusting.url), /320.*does not trust the certificate/);
  });

  it('serves a thousand connections in quick succession, and none is left', async () => {
    const proxy = await proxyWith();
    await (await connect(proxy.url)).close();
    const descriptors = (): number => readdirSync('/proc/self/fd').length;
    const before = descriptors();
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
    // The agent of this process opens a few as well.
    await waitUntil(() => descriptors() < before + 20, 'the descriptors are closed');
  });

  it('holds little for a client that never reads, and serves the others', async () => {
    const lease = await leased();
    const proxy = await proxyWith({ lease });
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
