import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type ChannelModel, connect, type ConsumeMessage } from 'amqplib';
import { requestUrl } from '../src/client/request-url.ts';
import { openRpc, type Rpc } from '../src/client/rpc.ts';
import { WireError } from '../src/contract/wire-errors.ts';
import type { ResultBody } from '../src/contract/methods.ts';
import type { LocalInstallation } from './local-installation.ts';
import type { Steps } from './steps.ts';

const NAMESPACE = 'taskcluster-team-a';
const FOREIGN = 'taskcluster-team-b';

/**
 * Shows a claim from a client's point of view: ping, claim, connect, use, claim again. Each step checks its outcome.
 *
 * @throws Error when a step fails
 */
export async function demoClaim(installation: LocalInstallation, steps: Steps, signal: AbortSignal): Promise<void> {
  const connections: ChannelModel[] = [];
  const open = async (url: string): Promise<ChannelModel> => {
    const connection = await connect(url);
    // A refused operation closes its channel, and amqplib emits the error on the connection too.
    connection.on('error', () => undefined);
    connections.push(connection);
    return connection;
  };
  try {
    const claimant = await open(installation.claimantUrl);
    const rpc = await openRpc(claimant, { credentials: installation.taskcluster.credentials('team-a/service') });
    await steps.run('Ping the agent as the claimant, over AMQP', async (print) => {
      const { alive, version } = await rpc.request('ping', {}, signal);
      assert.equal(alive, true);
      print(`alive, version ${version}`);
    });
    const claim = await steps.run(`Claim ${NAMESPACE} with Taskcluster credentials`, async (print) => {
      const result = await rpc.request(
        'claim-namespace',
        { namespace: NAMESPACE, contact: 'team-a@example.com' },
        signal,
      );
      print(`connection string ${withoutPassword(result.connectionString)}`);
      print(`claim again at ${result.reclaimAt}, expires ${result.expires}`);
      return result;
    });
    const connection = await steps.run('Connect with the credentials', () => open(claim.connectionString));
    await steps.run('Declare a queue and an exchange of the namespace, publish and consume', () =>
      passMessage(connection),
    );
    await steps.run('Try to use another namespace', (print) => assertForeignRefused(connection, rpc, print, signal));
    await steps.run('Claim again with these credentials, in the vhost of the requests', async (print) => {
      const own = await open(requestUrl(claim.connectionString, installation.config.requestVhost));
      const again = await openRpc(own, { credentials: installation.taskcluster.credentials('team-a/service') });
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
      print('the same credentials, and a later expiry');
    });
    await steps.run('List the namespaces, which needs no signature', async (print) => {
      const { namespaces } = await rpc.request('list-namespaces', { limit: 10 }, signal);
      assert.deepEqual(
        namespaces.map(({ namespace, state }) => [namespace, state]),
        [[NAMESPACE, 'active']],
      );
      print(`${NAMESPACE}: active`);
    });
  } finally {
    for (const connection of connections) await connection.close().catch(() => undefined);
  }
}

async function passMessage(connection: ChannelModel): Promise<void> {
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

async function assertForeignRefused(
  connection: ChannelModel,
  rpc: Rpc,
  print: (line: string) => void,
  signal: AbortSignal,
): Promise<void> {
  const channel = await connection.createChannel();
  const refused = once(channel, 'error') as Promise<[Error & { code?: number }]>;
  channel.assertQueue(`queue/${FOREIGN}/demo`).catch(() => undefined);
  const [error] = await refused;
  assert.equal(error.code, 403, 'RabbitMQ should refuse a queue of another namespace');
  print(`RabbitMQ refuses queue/${FOREIGN}/demo`);
  await assert.rejects(
    rpc.request('claim-namespace', { namespace: FOREIGN }, signal),
    (refusal) => refusal instanceof WireError && refusal.code === 'InsufficientScopes',
  );
  print(`the agent refuses a claim of ${FOREIGN}`);
}

function withoutPassword(connectionString: string): string {
  return connectionString.replace(/:[^:@/]+@/, ':…@');
}
