import assert from 'node:assert/strict';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { type ChannelModel, connect } from 'amqplib';
import { openRpc, type Rpc } from '../src/client/rpc.ts';
import { WireError } from '../src/contract/wire-errors.ts';
import type { ResultBody } from '../src/contract/methods.ts';
import type { LocalInstallation } from './local-installation.ts';
import type { Steps } from './steps.ts';

const ROTATED = 'taskcluster-team-a';
const BRIEF = 'taskcluster-team-a-brief';
const BRIEF_SECONDS = 3;

const PUBLISH_EVERY_MS = 50;
const POLL_EVERY_MS = 200;

type Claim = ResultBody<'claim-namespace'>;

/**
 * Shows the lifecycle of namespaces: rotation, revocation, expiry and release. Each step checks its outcome.
 *
 * @throws Error when a step fails
 */
export async function demoLifecycle(installation: LocalInstallation, steps: Steps, signal: AbortSignal): Promise<void> {
  const connections: ChannelModel[] = [];
  const open = async (url: string): Promise<ChannelModel> => {
    const connection = await connect(url);
    connection.on('error', () => undefined);
    connections.push(connection);
    return connection;
  };
  try {
    const claimant = await open(installation.claimantUrl);
    const rpc = await openRpc(claimant, { credentials: installation.taskcluster.credentials('team-a/service') });
    const operator = await openRpc(claimant, { credentials: installation.taskcluster.credentials('operator') });
    const claim = (namespace: string, expires?: string): Promise<Claim> =>
      rpc.request('claim-namespace', { namespace, ...(expires === undefined ? {} : { expires }) }, signal);

    const before = await claim(ROTATED);
    const held = await open(before.connectionString);
    const after = await steps.run('Publish while the credentials are rotated', async (print) => {
      const published = await publishUntil(held, ROTATED, async () => {
        const again = await claim(ROTATED);
        return again.connectionString === before.connectionString ? undefined : again;
      });
      print(`${userOf(published.result)} replaced ${userOf(before)}; ${published.messages} messages, none lost`);
      await (await open(before.connectionString)).close();
      await (await open(published.result.connectionString)).close();
      print('the old and the new credentials both open a connection');
      return published.result;
    });

    await steps.run('Revoke the credentials as an operator', async (print) => {
      const closed = once(held, 'close');
      await operator.request('revoke-namespace', { namespace: ROTATED }, signal);
      await closed;
      for (const { connectionString } of [before, after]) await assertLoginRefused(connectionString);
      print('both credentials are refused, and the connection was closed');
      const next = await claim(ROTATED);
      const channel = await (await open(next.connectionString)).createChannel();
      await channel.checkQueue(`queue/${ROTATED}/rotation`);
      print('the team claims again, and its queue still exists');
    });

    await steps.run(`Let ${BRIEF} expire after ${BRIEF_SECONDS} s`, async (print) => {
      const brief = await claim(BRIEF, new Date(Date.now() + BRIEF_SECONDS * 1000).toISOString());
      const channel = await (await open(brief.connectionString)).createChannel();
      await channel.assertQueue(`queue/${BRIEF}/left-behind`);
      await untilDeleted(rpc, BRIEF, signal);
      await assertNothingLeft(installation, BRIEF, brief);
      print('its accounts, its queue and its connection were deleted');
    });

    await steps.run(`Release ${ROTATED}`, async (print) => {
      const last = await claim(ROTATED);
      await rpc.request('release-namespace', { namespace: ROTATED }, signal);
      await untilDeleted(rpc, ROTATED, signal);
      await assertNothingLeft(installation, ROTATED, last);
      print('all its accounts, queues and exchanges were deleted');
    });
  } finally {
    for (const connection of connections) await connection.close().catch(() => undefined);
  }
}

/** Publishes and consumes over one connection until `poll` finds something; every message has to arrive. */
async function publishUntil<T>(
  connection: ChannelModel,
  namespace: string,
  poll: () => Promise<T | undefined>,
): Promise<{ result: T; messages: number }> {
  const channel = await connection.createConfirmChannel();
  const queue = `queue/${namespace}/rotation`;
  const exchange = `exchange/${namespace}/rotation`;
  await channel.assertQueue(queue, { durable: true });
  await channel.assertExchange(exchange, 'fanout');
  await channel.bindQueue(queue, exchange, '');
  const count = { published: 0, consumed: 0 };
  await channel.consume(queue, () => void (count.consumed += 1), { noAck: true });
  const publishing = setInterval(() => {
    channel.publish(exchange, '', Buffer.from(String(count.published)));
    count.published += 1;
  }, PUBLISH_EVERY_MS);
  try {
    for (;;) {
      const result = await poll();
      if (result !== undefined) {
        clearInterval(publishing);
        await channel.waitForConfirms();
        while (count.consumed < count.published) await sleep(PUBLISH_EVERY_MS);
        return { result, messages: count.published };
      }
      await sleep(POLL_EVERY_MS);
    }
  } finally {
    clearInterval(publishing);
  }
}

async function untilDeleted(rpc: Rpc, namespace: string, signal: AbortSignal): Promise<void> {
  for (;;) {
    const found = await rpc.request('get-namespace', { namespace }, signal).catch((error: unknown) => error);
    if (found instanceof WireError && found.code === 'ResourceNotFound') return;
    if (found instanceof Error) throw found;
    await sleep(POLL_EVERY_MS, undefined, { signal });
  }
}

async function assertNothingLeft(
  { management, config }: LocalInstallation,
  namespace: string,
  { connectionString }: Claim,
): Promise<void> {
  await assertLoginRefused(connectionString);
  const users = (await management.listUsers()).map(({ name }) => name);
  const queues = (await management.listQueues(config.vhost)).map(({ name }) => name);
  const left = [
    ...users.filter((name) => name === `${namespace}-1` || name === `${namespace}-2`),
    ...queues.filter((name) => name.startsWith(`queue/${namespace}/`)),
  ];
  assert.deepEqual(left, []);
}

async function assertLoginRefused(url: string): Promise<void> {
  await assert.rejects(connect(url), /ACCESS_REFUSED/);
}

function userOf({ connectionString }: Claim): string {
  return new URL(connectionString).username;
}
