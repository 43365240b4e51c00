import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type ChannelModel, connect, type ConsumeMessage } from 'amqplib';
import { openRpc, type Rpc } from '../src/client/rpc.ts';
import { WireError } from '../src/contract/wire-errors.ts';
import type { ResultBody } from '../src/contract/methods.ts';
import type { LocalInstallation } from './local-installation.ts';
import type { Steps } from './steps.ts';

const NAMESPACE = 'taskcluster-team-a';
const FOREIGN = 'taskcluster-team-b';

/**
 * The main job from start to finish as a client sees it: every step checks what it says.
 *
 * @throws Error when one does not do it.
 */
export async function walkThrough(installation: LocalInstallation, steps: Steps, signal: AbortSignal): Promise<void> {
  const connections: ChannelModel[] = [];
  const open = async (url: string): Promise<ChannelModel> => {
    const connection = await connect(url);
    // A refused operation closes its channel, and amqplib tells the connection of it as well.
    connection.on('error', () => undefined);
    connections.push(connection);
    return connection;
  };
  try {
    const claimant = await open(installation.claimantUrl);
    const rpc = await openRpc(claimant, { credentials: installation.taskcluster.credentials('team-a/service') });
    await steps.run('Ping the agent as the claimant, over AMQP', async (tell) => {
      const { alive, version } = await rpc.request('ping', {}, signal);
      assert.equal(alive, true);
      tell(`alive, version ${version}`);
    });
    const claim = await steps.run(`Claim ${NAMESPACE} with Taskcluster credentials`, async (tell) => {
      const result = await rpc.request(
        'claim-namespace',
        { namespace: NAMESPACE, contact: 'team-a@example.com' },
        signal,
      );
      tell(`connection string ${withoutPassword(result.connectionString)}`);
      tell(`claim again at ${result.reclaimAt}, expires ${result.expires}`);
      return result;
    });
    const connection = await steps.run('Connect with the credentials', () => open(claim.connectionString));
    await steps.run('Declare a queue and an exchange of the namespace, publish and consume', () =>
      passAMessage(connection),
    );
    await steps.run('Be refused in a foreign namespace', (tell) => beRefused(connection, rpc, tell, signal));
    await steps.run('Claim again over the same connection', async (tell) => {
      const again = await openRpc(connection, { credentials: installation.taskcluster.credentials('team-a/service') });
      const renewed: ResultBody<'claim-namespace'> = await again.request(
        'claim-namespace',
        { namespace: NAMESPACE },
        signal,
      );
      assert.equal(
        renewed.connectionString,
        claim.connectionString,
        'the credentials should be the same until rotation',
      );
      tell('the same credentials, and the namespace lives on');
    });
    await steps.run('Look at the namespaces, as anybody may', async (tell) => {
      const { namespaces } = await rpc.request('list-namespaces', { limit: 10 }, signal);
      assert.deepEqual(
        namespaces.map(({ namespace, state }) => [namespace, state]),
        [[NAMESPACE, 'active']],
      );
      tell(`${NAMESPACE}: active`);
    });
  } finally {
    for (const connection of connections) await connection.close().catch(() => undefined);
  }
}

async function passAMessage(connection: ChannelModel): Promise<void> {
  const queue = `queue/${NAMESPACE}/demo`;
  const exchange = `exchange/${NAMESPACE}/demo`;
  const channel = await connection.createConfirmChannel();
  await channel.assertExchange(exchange, 'topic');
  await channel.assertQueue(queue, { durable: true, arguments: { 'x-queue-type': 'quorum' } });
  await channel.bindQueue(queue, exchange, '#');
  channel.publish(exchange, 'hello', Buffer.from('hello'));
  await channel.waitForConfirms();
  const received = await new Promise<ConsumeMessage | null>((resolve, reject) => {
    channel.consume(queue, resolve, { noAck: true }).catch(reject);
  });
  assert.equal(received?.content.toString(), 'hello');
  await channel.close();
}

async function beRefused(
  connection: ChannelModel,
  rpc: Rpc,
  tell: (line: string) => void,
  signal: AbortSignal,
): Promise<void> {
  const channel = await connection.createChannel();
  const refused = once(channel, 'error') as Promise<[Error & { code?: number }]>;
  channel.assertQueue(`queue/${FOREIGN}/demo`).catch(() => undefined);
  const [error] = await refused;
  assert.equal(error.code, 403, 'RabbitMQ should refuse a queue of a foreign namespace');
  tell(`RabbitMQ refuses queue/${FOREIGN}/demo`);
  await assert.rejects(
    rpc.request('claim-namespace', { namespace: FOREIGN }, signal),
    (refusal) => refusal instanceof WireError && refusal.code === 'InsufficientScopes',
  );
  tell(`the agent refuses to give out ${FOREIGN}`);
}

function withoutPassword(connectionString: string): string {
  return connectionString.replace(/:[^:@/]+@/, ':…@');
}
