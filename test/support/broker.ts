import { setTimeout as delay } from 'node:timers/promises';
import { rmSync } from 'node:fs';
import { request } from 'node:http';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import * as amqp from 'amqplib';
import { type LocalRabbitMQ, startRabbitMQ } from '../../dev/rabbitmq.ts';
import { addCleanup, addRunCleanup } from './cleanup.ts';
import { testFolder, unique } from './folders.ts';

/** Timeout of a hook that may start RabbitMQ, or install it on a bare machine. */
export const BROKER_START_MS = 300_000;

let shared: Promise<LocalRabbitMQ> | undefined;

/**
 * The private broker of this test process, started by the first call. Do not stop it: a test that breaks a broker starts
 * its own with `startRabbitMQ`.
 */
export async function sharedBroker(): Promise<LocalRabbitMQ> {
  shared ??= startShared();
  return await shared;
}

/**
 * For use in a `describe`: starts the shared broker in a `before` hook with a long timeout.
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
    if (broker === undefined) throw new Error('The shared broker is ready only from the first hook on.');
    return broker;
  };
}

async function startShared(): Promise<LocalRabbitMQ> {
  const folder = join(testFolder(), 'rabbitmq');
  rmSync(folder, { recursive: true, force: true });
  const broker = await startRabbitMQ({ folder });
  addRunCleanup(async () => {
    // Its data are thrown away, so the seconds of an orderly stop would be wasted.
    await broker.kill();
    rmSync(folder, { recursive: true, force: true });
  });
  return broker;
}

/** A vhost for one test, and an administrator with all permissions in it. */
export interface TestVhost {
  readonly vhost: string;
  readonly user: string;
  readonly password: string;
  readonly amqpUrl: string;
  /** Another vhost, for requests to an agent. */
  readonly requestVhost: string;
  /** The AMQP URL of that vhost, with the credentials of the broker's own administrator. */
  readonly requestUrl: string;
  /** Includes the user's credentials. */
  readonly managementUrl: string;
}

/** Creates a vhost, one for requests, and their administrator; all are removed after the test, or after the file. */
export async function createVhost(broker?: LocalRabbitMQ): Promise<TestVhost> {
  const at = broker ?? (await sharedBroker());
  const vhost = unique('vhost');
  const user = unique('admin');
  const password = unique('password');
  const path = encodeURIComponent(vhost);
  await putVhost(at, path);
  await manage(at, 'PUT', `/users/${user}`, { password, tags: 'administrator' });
  const everything = { configure: '.*', write: '.*', read: '.*' };
  const requestVhost = `${vhost}-requests`;
  await putVhost(at, requestVhost);
  for (const name of [user, at.user]) {
    for (const where of [path, requestVhost]) await manage(at, 'PUT', `/permissions/${where}/${name}`, everything);
  }
  // The default vhost has the event exchange.
  await manage(at, 'PUT', `/permissions/%2F/${user}`, everything);
  addCleanup(async () => {
    if (!at.running()) return;
    for (const name of [path, requestVhost]) await manage(at, 'DELETE', `/vhosts/${name}`, undefined, [404]);
    await manage(at, 'DELETE', `/users/${user}`);
  });
  return {
    vhost,
    user,
    password,
    amqpUrl: `amqp://${user}:${password}@127.0.0.1:${at.amqpPort}/${path}`,
    requestVhost,
    requestUrl: Object.assign(new URL(at.amqpUrl), { pathname: `/${requestVhost}` }).href,
    managementUrl: `http://${user}:${password}@127.0.0.1:${at.managementPort}`,
  };
}

/**
 * Creates a vhost, and waits until it runs on every node. On a busy machine a cluster may not be done with it in ten seconds,
 * and answers 500.
 */
export async function putVhost(at: LocalRabbitMQ, path: string): Promise<void> {
  while ((await manage(at, 'PUT', `/vhosts/${path}`, undefined, [500])).status === 500) {
    // A node that missed its creation never starts it, and the same call fails for ever.
    await manage(at, 'DELETE', `/vhosts/${path}`, undefined, [404]);
  }
  for (;;) {
    const { body } = await manage(at, 'GET', `/vhosts/${path}`);
    const { cluster_state: states = {} } = body as { cluster_state?: Record<string, string> };
    if (Object.values(states).every((state) => state === 'running')) return;
    await delay(100);
  }
}

/** Opens an AMQP connection that is closed after the test, or after the file. */
export async function openConnection(url: string): Promise<amqp.ChannelModel> {
  const connection = await amqp.connect(url);
  let closed = false;
  connection.on('close', () => (closed = true));
  // Without a listener the process would exit when a test cuts the connection.
  connection.on('error', () => undefined);
  addCleanup(async () => {
    if (!closed) await connection.close().catch(() => undefined);
  });
  return connection;
}

/**
 * Closes every connection of a user, as a restart of the broker would. RabbitMQ lists a connection only some time after it
 * is open: waits `listedWithinMs` for the first one at most.
 */
export async function cutConnections(broker: LocalRabbitMQ, user: string, listedWithinMs = 2_000): Promise<void> {
  const path = `/connections/username/${encodeURIComponent(user)}`;
  const isOpen = async (): Promise<boolean> => ((await manage(broker, 'GET', path)).body as unknown[]).length > 0;
  const untilMs = performance.now() + listedWithinMs;
  while (!(await isOpen()) && performance.now() < untilMs) await delay(50);
  // RabbitMQ answers 500 and leaves the rest open when one of them closes at that moment.
  while ((await manage(broker, 'DELETE', path, undefined, [500])).status === 500);
}

/**
 * Waits until the management API lists a connection. This takes some ms, and RabbitMQ's event comes before.
 *
 * @param list requests a list of connections that should include this one
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
 * Calls the management API as the broker's administrator, and returns the parsed body (undefined when it is empty).
 *
 * @param path the part after `/api`, with names percent-encoded
 * @throws Error with status and body when the status is neither 2xx nor in `expected`
 */
export async function manage(
  broker: LocalRabbitMQ,
  method: 'GET' | 'PUT' | 'POST' | 'DELETE',
  path: string,
  body?: unknown,
  expected: readonly number[] = [],
): Promise<{ status: number; body: unknown }> {
  const authorization = `Basic ${Buffer.from(`${broker.user}:${broker.password}`).toString('base64')}`;
  const { status, text } = await requestManagement(`${broker.managementUrl}/api${path}`, {
    method,
    headers: { authorization, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  if (!(status >= 200 && status < 300) && !expected.includes(status)) {
    throw new Error(`${method} ${path} was answered with ${status}: ${text}`);
  }
  return { status, body: text === '' ? undefined : JSON.parse(text) };
}

/**
 * One request on a connection of its own. Not with `fetch`: once undici is loaded, `fetch` uses it, and its version 7 ends the
 * process when a server ends the connection before a large body is read.
 */
async function requestManagement(
  url: string,
  { method, headers, body = '' }: { method: string; headers: Record<string, string>; body?: string },
): Promise<{ status: number; text: string }> {
  return await new Promise((resolve, reject) => {
    const sent = request(url, { method, headers, agent: false }, (response) => {
      const pieces: Buffer[] = [];
      response.on('data', (piece: Buffer) => pieces.push(piece));
      response.once('error', reject);
      response.once('end', () => resolve({ status: response.statusCode ?? 0, text: Buffer.concat(pieces).toString() }));
    });
    sent.once('error', reject);
    sent.end(body);
  });
}
