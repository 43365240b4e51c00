import assert from 'node:assert/strict';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { type ChannelModel, connect } from 'amqplib';
import type { Rpc } from '../../src/client/rpc.ts';
import { WireError } from '../../src/contract/wire-errors.ts';
import type { TestInstallation } from './agent.ts';
import { manage, openConnection } from './broker.ts';
import type { Claimed } from './claim-assertions.ts';

/** The pause between two checks of what no event reports, in ms. */
const POLL_EVERY_MS = 100;

/** The names of a namespace's accounts, queues and exchanges on the broker. */
export async function objectsOf({ broker, config }: TestInstallation, namespace: string): Promise<string[]> {
  const list = async (path: string): Promise<string[]> =>
    ((await manage(broker, 'GET', path)).body as { name: string }[]).map(({ name }) => name);
  const inVhost = encodeURIComponent(config.vhost);
  const accounts = [1, 2].map((slot) => `${config.usernamePrefix}${namespace}-${slot}`);
  const users = (await list('/users')).filter((name) => accounts.includes(name));
  const queues = (await list(`/queues/${inVhost}`)).filter((name) => name.startsWith(`queue/${namespace}/`));
  const exchanges = (await list(`/exchanges/${inVhost}`)).filter((name) => name.startsWith(`exchange/${namespace}/`));
  return [...users, ...queues, ...exchanges];
}

/** Declares a durable exchange and two durable queues of a namespace, with bindings. */
export async function declareObjects(connection: ChannelModel, namespace: string): Promise<void> {
  const channel = await connection.createChannel();
  await channel.assertExchange(`exchange/${namespace}/kept`, 'topic');
  for (const name of ['one', 'two/three']) {
    await channel.assertQueue(`queue/${namespace}/${name}`);
    await channel.bindQueue(`queue/${namespace}/${name}`, `exchange/${namespace}/kept`, '#');
  }
  await channel.close();
}

/** Opens a connection that the broker will close; `closed` resolves when it has. */
export async function openAndAwaitClose(url: string): Promise<{ connection: ChannelModel; closed: Promise<unknown> }> {
  const connection = await openConnection(url);
  connection.on('error', () => undefined);
  return { connection, closed: once(connection, 'close') };
}

/** Fails unless RabbitMQ refuses the credentials in this URL. */
export async function assertLoginRefused(url: string): Promise<void> {
  await assert.rejects(connect(url), /ACCESS_REFUSED|403/);
}

export function isConflict(error: unknown): boolean {
  return error instanceof WireError && error.code === 'RequestConflict';
}

/** Waits until the namespace is deleted, and fails when the broker still has any of its objects. */
export async function untilDeleted(installation: TestInstallation, rpc: Rpc, namespace: string): Promise<void> {
  for (;;) {
    const found = await rpc.request('get-namespace', { namespace }).catch((error: unknown) => error);
    if (found instanceof WireError && found.code === 'ResourceNotFound') break;
    if (found instanceof Error) throw found;
    await sleep(POLL_EVERY_MS);
  }
  assert.deepEqual(await objectsOf(installation, namespace), []);
}

/** Claims as soon as claims of the namespace are allowed again. */
export async function claimOnceAllowed(rpc: Rpc, namespace: string): Promise<Claimed> {
  for (;;) {
    try {
      return await rpc.request('claim-namespace', { namespace });
    } catch (error) {
      if (!isConflict(error)) throw error;
      await sleep(POLL_EVERY_MS);
    }
  }
}
