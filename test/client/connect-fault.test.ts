import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createServer as createTcpServer, type AddressInfo, type Server } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { inspect } from 'node:util';
import { BrokerRefused, PulseAgentError, Unavailable } from '../../src/client/client-errors.ts';
import { PulseAgentClient } from '../../src/client/client.ts';
import { connectTo } from '../../src/client/amqp-connection.ts';
import { closeReasonIn } from '../../src/contract/amqplib-handshake-workaround.ts';
import { createVhost, manage, type TestVhost, useSharedBroker } from '../support/broker.ts';
import { type Certificates, makeCertificates } from '../support/certificates.ts';
import { addCleanup } from '../support/cleanup.ts';
import { makeRelay } from '../support/tcp-relay.ts';

describe('a connection that cannot be opened', function () {
  this.timeout(60_000);
  const broker = useSharedBroker();
  let vhost: TestVhost;
  let certificates: Certificates;

  before(async () => {
    vhost = await createVhost();
    certificates = makeCertificates();
  });

  /** The error of a ping, which has a cause and holds no password. */
  async function errorOf(url: string, timeoutMs = 30_000): Promise<PulseAgentError> {
    const client = new PulseAgentClient({ url });
    addCleanup(() => client.close());
    try {
      await client.ping({ timeoutMs });
    } catch (error) {
      assert.ok(error instanceof PulseAgentError, inspect(error));
      assert.ok(error.cause instanceof Error, inspect(error));
      assert.ok(!inspect(error).includes(vhost.password), inspect(error));
      return error;
    }
    return assert.fail('The ping succeeded.');
  }

  /** A URL with other parts. */
  function urlWith(parts: {
    protocol?: string;
    hostname?: string;
    port?: number;
    vhost?: string;
    user?: string;
  }): string {
    const { protocol = 'amqp:', hostname = '127.0.0.1', port = broker().amqpPort, user = vhost.user } = parts;
    return `${protocol}//${user}:${vhost.password}@${hostname}:${port}/${encodeURIComponent(parts.vhost ?? vhost.vhost)}`;
  }

  async function listen(server: Server): Promise<number> {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    addCleanup(() => void server.close());
    return (server.address() as AddressInfo).port;
  }

  it('because the vhost does not exist is reported with the reason of RabbitMQ, after one attempt', async () => {
    const relay = await makeRelay(broker().amqpPort);
    const error = await errorOf(urlWith({ port: relay.port, vhost: 'no-such-vhost' }));
    assert.ok(error instanceof BrokerRefused && !error.retryable, inspect(error));
    assert.match(error.message, /^RabbitMQ refuses the vhost no-such-vhost: vhost no-such-vhost not found\./);
    assert.equal(relay.accepted(), 1);
  });

  it('because the user may not use the vhost is reported after one attempt', async () => {
    const relay = await makeRelay(broker().amqpPort);
    await manage(broker(), 'DELETE', `/permissions/${vhost.requestVhost}/${vhost.user}`);
    const error = await errorOf(urlWith({ port: relay.port, vhost: vhost.requestVhost }));
    assert.ok(error instanceof BrokerRefused, inspect(error));
    assert.match(error.message, /^RabbitMQ refuses the vhost \S+: access to vhost '\S+' refused for user '\S+'\./);
    assert.equal(relay.accepted(), 1);
  });

  it('because of a limit of connections is tried again', async () => {
    const relay = await makeRelay(broker().amqpPort);
    await manage(broker(), 'PUT', `/vhost-limits/${vhost.vhost}/max-connections`, { value: 0 });
    const error = await errorOf(urlWith({ port: relay.port }), 3000);
    await manage(broker(), 'DELETE', `/vhost-limits/${vhost.vhost}/max-connections`);
    assert.ok(error instanceof Unavailable && error.retryable && !error.mayHaveActed, inspect(error));
    assert.match(error.message, /connection limit \(0\) is reached/);
    assert.ok(relay.accepted() > 1);
  });

  it('because the port for amqp is not that for amqps, in one sentence', async () => {
    const error = await errorOf(urlWith({ protocol: 'amqps:' }));
    assert.ok(error instanceof BrokerRefused, inspect(error));
    assert.match(error.message, /^The port \d+ does not speak TLS: use amqp:\/\//);
  });

  const serverKeys = () => ({
    cert: readFileSync(certificates.certificateFile),
    key: readFileSync(certificates.keyFile),
  });

  it('because the port for amqps is not that for amqp', async () => {
    const port = await listen(createTlsServer(serverKeys()));
    const error = await errorOf(urlWith({ port }), 2000);
    assert.match(error.message, /speaks TLS: use amqps:\/\/|TLS, for which the URL begins with amqps:\/\//);
  });

  it('because the certificate is not trusted is reported after one attempt', async () => {
    const port = await listen(createTlsServer(serverKeys()));
    const error = await errorOf(urlWith({ protocol: 'amqps:', hostname: 'localhost', port }));
    assert.ok(error instanceof BrokerRefused, inspect(error));
    assert.match(error.message, /^This machine does not trust the certificate of RabbitMQ: .+\./);
  });

  it('because RabbitMQ wants a client certificate', async () => {
    const { ca } = certificates;
    const port = await listen(createTlsServer({ ...serverKeys(), ca, requestCert: true, rejectUnauthorized: true }));
    await assert.rejects(connectTo(urlWith({ protocol: 'amqps:', hostname: 'localhost', port }), { ca }), {
      name: 'BrokerRefused',
      message: /^RabbitMQ wants a client certificate/,
    });
  });

  it('because the port closes every connection', async () => {
    const port = await listen(createTcpServer((socket) => socket.destroy()));
    const error = await errorOf(urlWith({ port }), 1000);
    assert.ok(error instanceof Unavailable, inspect(error));
    assert.match(error.message, /^The port \d+ closes connections before the handshake/);
  });
});

describe('the reason of a closed connection', () => {
  const frame = (method: number[], text: string): Buffer => {
    const body = Buffer.from([...method, 2, 18, text.length, ...Buffer.from(text), 0, 10, 0, 40]);
    const size = Buffer.alloc(4);
    size.writeUInt32BE(body.length);
    return Buffer.concat([Buffer.from([1, 0, 0]), size, body, Buffer.from([0xce])]);
  };
  const tune = frame([0, 10, 0, 30], 'tune');
  const close = frame([0, 10, 0, 50], 'NOT_ALLOWED - no');

  it('is read behind other frames', () => {
    assert.deepEqual(closeReasonIn(Buffer.concat([tune, close])), { code: 530, text: 'NOT_ALLOWED - no' });
  });

  it('is absent in incomplete frames, and in bytes that are no frames', () => {
    for (const bytes of [Buffer.alloc(0), tune, close.subarray(0, -12), Buffer.from('HTTP/1.1 400 Bad Request\r\n')]) {
      assert.equal(closeReasonIn(bytes), undefined);
    }
  });
});
