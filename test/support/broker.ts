import { rmSync } from 'node:fs';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import * as amqp from 'amqplib';
import { type LocalRabbitMQ, startRabbitMQ } from '../../dev/rabbitmq.ts';
import { addCleanup, addRunCleanup } from './cleanup.ts';
import { testFolder, unique } from './folders.ts';

/** Time-out for a hook that may have to start, or on a bare machine to install, RabbitMQ. */
export const BROKER_START_MS = 300_000;

let shared: Promise<LocalRabbitMQ> | undefined;

/**
 * The one private broker of this test process, started when the first test asks for it. Do not stop it: a test that
 * needs a broker to fail starts its own with `startRabbitMQ`.
 */
export async function sharedBroker(): Promise<LocalRabbitMQ> {
  shared ??= startShared();
  return await shared;
}

/**
 * For use in a `describe`: starts the shared broker in a `before` hook with time enough for it.
 *
 * @example
 * const broker = useSharedBroker();
 * it('…', async () => { await openConnection(broker().amqpUrl); });
 */
export function useSharedBroker(): () => LocalRabbitMQ {
  let broker: LocalRabbitMQ | undefined;
  before('start the shared RabbitMQ', async function () {
    this.timeout(BROKER_START_MS);
    broker = await sharedBroker();
  });
  return () => {
    if (broker === undefined) throw new Error('The shared broker is there from the first hook on, not before.');
    return broker;
  };
}

async function startShared(): Promise<LocalRabbitMQ> {
  const folder = join(testFolder(), 'rabbitmq');
  rmSync(folder, { recursive: true, force: true });
  const broker = await startRabbitMQ({ folder });
  addRunCleanup(async () => {
    // Its data are thrown away: there is nothing that an orderly stop, which takes seconds, would save.
    await broker.kill();
    rmSync(folder, { recursive: true, force: true });
  });
  return broker;
}

/** A vhost of its own for a test, and an administrator with every right in it. */
export interface TestVhost {
  readonly vhost: string;
  readonly user: string;
  readonly password: string;
  readonly amqpUrl: string;
  /** With the user's credentials in it. */
  readonly managementUrl: string;
}

/** Makes a vhost and an administrator of it; both are removed after the test, or after the run. */
export async function createVhost(broker?: LocalRabbitMQ): Promise<TestVhost> {
  const at = broker ?? (await sharedBroker());
  const vhost = unique('vhost');
  const user = unique('admin');
  const password = unique('password');
  const path = encodeURIComponent(vhost);
  await manage(at, 'PUT', `/vhosts/${path}`);
  await manage(at, 'PUT', `/users/${user}`, { password, tags: 'administrator' });
  const everything = { configure: '.*', write: '.*', read: '.*' };
  for (const name of [user, at.user]) await manage(at, 'PUT', `/permissions/${path}/${name}`, everything);
  // The event exchange is there.
  await manage(at, 'PUT', `/permissions/%2F/${user}`, everything);
  addCleanup(async () => {
    if (!at.running()) return;
    await manage(at, 'DELETE', `/vhosts/${path}`);
    await manage(at, 'DELETE', `/users/${user}`);
  });
  return {
    vhost,
    user,
    password,
    amqpUrl: `amqp://${user}:${password}@127.0.0.1:${at.amqpPort}/${path}`,
    managementUrl: `http://${user}:${password}@127.0.0.1:${at.managementPort}`,
  };
}

/** An AMQP connection that is closed after the test, or after the run. */
export async function openConnection(url: string): Promise<amqp.ChannelModel> {
  const connection = await amqp.connect(url);
  let closed = false;
  connection.on('close', () => (closed = true));
  // A test that cuts the connection looks for that itself; without a listener the process would end.
  connection.on('error', () => undefined);
  addCleanup(async () => {
    if (!closed) await connection.close().catch(() => undefined);
  });
  return connection;
}

/** Closes every connection of a user, as a restart of the broker would. */
export async function cutConnections(broker: LocalRabbitMQ, user: string): Promise<void> {
  const path = `/connections/username/${user}`;
  // RabbitMQ answers 500, and leaves the others open, when one of them ends by itself at that moment.
  while ((await manage(broker, 'DELETE', path, undefined, [500])).status === 500);
}

/**
 * Waits until the management API knows a connection, which takes it some ms. Nothing tells: RabbitMQ's event comes before.
 *
 * @param list asks the API for connections, this one among them
 */
export async function untilKnown(
  connection: amqp.ChannelModel,
  list: () => Promise<readonly { readonly name: string }[]>,
): Promise<void> {
  const { stream } = connection.connection as unknown as { readonly stream: Socket };
  // RabbitMQ names a connection after the ports of both sides.
  while (!(await list()).some(({ name }) => name.includes(`:${stream.localPort} -> `)));
}

/**
 * Calls the management API as the broker's administrator, and returns the parsed body (undefined when there is none).
 *
 * @param path what follows `/api`, names in it percent-encoded
 * @throws Error with status and body when the answer is no success and not among `expected`
 */
export async function manage(
  broker: LocalRabbitMQ,
  method: 'GET' | 'PUT' | 'POST' | 'DELETE',
  path: string,
  body?: unknown,
  expected: readonly number[] = [],
): Promise<{ status: number; body: unknown }> {
  const authorization = `Basic ${Buffer.from(`${broker.user}:${broker.password}`).toString('base64')}`;
  const response = await fetch(`${broker.managementUrl}/api${path}`, {
    method,
    headers: { authorization, 'content-type': 'application/json', connection: 'close' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  if (!response.ok && !expected.includes(response.status)) {
    throw new Error(`${method} ${path} was answered with ${response.status}: ${text}`);
  }
  return { status: response.status, body: text === '' ? undefined : JSON.parse(text) };
}
