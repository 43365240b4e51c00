import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect as connectTcp, type Socket } from 'node:net';
import type { ChannelModel } from 'amqplib';
import type { Lease } from '../../src/client/lease.ts';
import { AmqpProxy, type AmqpProxyOptions } from '../../src/proxy/amqp-proxy.ts';
import { TEAM, teamNamespace, type TestInstallation, withPort } from './agent.ts';
import { addCleanup } from './cleanup.ts';

/** A lease of a namespace of its own. */
export async function makeLease(installation: TestInstallation): Promise<Lease> {
  return await installation.client(TEAM).lease({ namespace: teamNamespace() });
}

/** A proxy that listens on a free port of loopback; it is closed after the test. */
export async function makeProxy(
  options: Partial<AmqpProxyOptions> & Pick<AmqpProxyOptions, 'lease'>,
): Promise<AmqpProxy> {
  const proxy = new AmqpProxy({ host: '127.0.0.1', port: 0, ...options });
  await proxy.start();
  addCleanup(() => proxy.close('The test is over.'));
  return proxy;
}

/** The lease with these ports in its URLs, now and later: one for each address of RabbitMQ. */
export function through(lease: Lease, ports: readonly number[], protocol = 'amqp:'): AmqpProxyOptions['lease'] {
  const urls = (): string[] => ports.map((port) => withPort(lease.connectionString, port).replace('amqp:', protocol));
  return {
    get connectionString() {
      return urls()[0] ?? '';
    },
    get connectionStrings() {
      return urls();
    },
    credentials: lease.credentials,
  };
}

/** The port that a proxy listens on. */
export function portOf(proxy: AmqpProxy): number {
  return Number(new URL(proxy.url).port);
}

/** A socket to a port of this machine; it is destroyed after the test. */
export function openSocket(port: number): Socket {
  const socket = connectTcp({ port, host: '127.0.0.1', noDelay: true });
  socket.on('error', () => undefined);
  addCleanup(() => void socket.destroy());
  return socket;
}

/** Everything that the server sends until it closes, or resets the socket as RabbitMQ may do after its answer. */
export async function received(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of socket) chunks.push(chunk as Buffer);
  } catch (error) {
    if (chunks.length === 0) throw error;
  }
  return Buffer.concat(chunks);
}

/** The error with which a connection ends. */
export async function errorOf(connection: ChannelModel): Promise<Error & { code?: number }> {
  // amqplib emits no error for 320.
  const [error] = (await once(connection, 'close')) as [Error & { code?: number }];
  return error;
}

/** Publishes a message of this size and consumes it again. */
export async function roundTrip(connection: ChannelModel, namespace: string, bytes: number): Promise<void> {
  const channel = await connection.createConfirmChannel();
  const [queue, exchange] = [`queue/${namespace}/round-trip`, `exchange/${namespace}/round-trip`];
  const content = Buffer.alloc(bytes, 'proxy');
  await channel.assertQueue(queue);
  await channel.assertExchange(exchange, 'fanout');
  await channel.bindQueue(queue, exchange, '');
  channel.publish(exchange, '', content);
  await channel.waitForConfirms();
  const message = await channel.get(queue, { noAck: true });
  assert.ok(message !== false && content.equals(message.content));
  await channel.close();
}
