import assert from 'node:assert/strict';
import { connect, type ConsumeMessage } from 'amqplib';
import { openRpc, type Rpc } from '../../src/client/rpc.ts';
import type { ResultBody } from '../../src/contract/methods.ts';
import { accountName, permissionsOf } from '../../src/namespaces/accounts/account-names.ts';
import { TEAM, type TestInstallation } from './agent.ts';
import { manage, openConnection } from './broker.ts';

/** The result of a claim. */
export type Claimed = ResultBody<'claim-namespace'>;

/** Longer than an agent takes to start on a busy machine, in ms. */
const PATIENCE_MS = 60_000;

/** An RPC client, on its own connection, whose requests wait for an agent that has yet to start or to continue. */
export async function openPatientRpc(
  { claimantUrl, config, taskcluster }: TestInstallation,
  clientId = TEAM,
): Promise<Rpc> {
  return await openRpc(await openConnection(claimantUrl), {
    id: config.id,
    audience: config.audience,
    credentials: taskcluster.credentials(clientId),
    timeoutMs: PATIENCE_MS,
  });
}

/** Connects with the credentials, declares a queue and an exchange, publishes, consumes, and cleans up. */
export async function assertCredentialsWork({ namespace, connectionString }: Claimed): Promise<void> {
  const connection = await connect(connectionString);
  try {
    const channel = await connection.createConfirmChannel();
    const exchange = `exchange/${namespace}/check`;
    const queue = `queue/${namespace}/check`;
    await channel.assertExchange(exchange, 'topic', { autoDelete: true });
    await channel.assertQueue(queue, { exclusive: true });
    await channel.bindQueue(queue, exchange, '#');
    const received = new Promise<ConsumeMessage | null>((resolve, reject) => {
      channel.consume(queue, resolve, { noAck: true }).catch(reject);
    });
    channel.publish(exchange, 'check', Buffer.from(namespace));
    await channel.waitForConfirms();
    assert.equal((await received)?.content.toString(), namespace);
  } finally {
    await connection.close();
  }
}

/**
 * Fails when the credentials are refused before their `reclaimAt`; on a slow machine that may have passed.
 *
 * @param use uses the credentials; opens and closes a connection when absent
 */
export async function assertHonoured(
  claimed: Claimed,
  use: (claimed: Claimed) => Promise<void> = async ({ connectionString }) =>
    await (await connect(connectionString)).close(),
): Promise<void> {
  try {
    await use(claimed);
  } catch (error) {
    if (Date.now() < Date.parse(claimed.reclaimAt)) throw error;
  }
}

/**
 * Asserts what must hold of a namespace after its first claim, whatever happened to the agents: it is active, it has one
 * complete account, the claimed credentials work, and the next claim returns the same ones.
 */
export async function assertNamespaceIsComplete(
  installation: TestInstallation,
  rpc: Rpc,
  claimed: Claimed,
): Promise<void> {
  const { namespace } = claimed;
  const { config, broker } = installation;
  const { state } = await rpc.request('get-namespace', { namespace });
  assert.equal(state, 'active');

  const accounts = await listAccounts(installation, namespace);
  const [active, standby] = [1, 2].map((slot) => accountName(config.usernamePrefix, namespace, slot as 1 | 2));
  assert.ok(active !== undefined && standby !== undefined);
  assert.deepEqual(
    accounts.map(({ name }) => name),
    [active],
  );
  const [tags = []] = accounts.map((account) => account.tags);
  assert.equal(tags.length, 1);
  assert.match(tags[0] ?? '', /^pulse-agent-[\w-]{22}$/);
  const user = encodeURIComponent(active);
  const permissions = await manage(broker, 'GET', `/users/${user}/permissions`);
  assert.deepEqual(
    new Set(permissions.body as object[]),
    new Set(
      Object.entries(permissionsOf(config, namespace)).map(([vhost, granted]) => ({ user: active, vhost, ...granted })),
    ),
  );
  const limits = await manage(broker, 'GET', `/user-limits/${user}`);
  const value = (limits.body as { value: object }[])[0]?.value ?? {};
  assert.deepEqual(value, { ...config.accountLimits });

  await assertCredentialsWork(claimed);
  const again = await rpc.request('claim-namespace', { namespace });
  assert.equal(again.connectionString, claimed.connectionString, 'the next claim should give the same credentials');
}

/** A RabbitMQ user as the management API lists it. */
export interface ListedAccount {
  readonly name: string;
  readonly tags: readonly string[];
  readonly password_hash: string;
}

/** The accounts on the broker of all namespaces whose names start like this. */
export async function listAccounts(
  { broker, config }: TestInstallation,
  namespace: string,
): Promise<readonly ListedAccount[]> {
  const { body } = await manage(broker, 'GET', '/users');
  return (body as ListedAccount[]).filter(({ name }) => name.startsWith(`${config.usernamePrefix}${namespace}`));
}

/** Asserts, after the last agent has stopped, that no request is queued or dead-lettered. */
export async function assertNoRequestLeft({ vhost, names }: TestInstallation): Promise<void> {
  const connection = await connect(vhost.requestUrl);
  try {
    const channel = await connection.createChannel();
    for (const queue of [names.requestQueue, names.unknownMethodsQueue, names.deadQueue]) {
      const { messageCount } = await channel.checkQueue(queue);
      assert.equal(messageCount, 0, `${queue} should be empty`);
    }
  } finally {
    await connection.close();
  }
}
