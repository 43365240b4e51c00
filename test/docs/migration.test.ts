import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parse } from 'yaml';
import { permissionsOf } from '../../src/namespaces/accounts/account-names.ts';
import { clientEnvironment, TEAM, makeInstallation, type TestInstallation } from '../support/agent.ts';
import { manage, openConnection, useSharedBroker } from '../support/broker.ts';
import { builtFile, builtProgram } from '../support/built-agent.ts';
import { runCommandLine } from '../support/command-line.ts';
import { addCleanup } from '../support/cleanup.ts';
import { makeFolder, unique } from '../support/folders.ts';
import { type Block, runShell, useBlocks } from './blocks.ts';

async function commandLine(): Promise<string> {
  return `${process.execPath} ${await builtProgram()}`;
}

/** The broker's answer about a user and its permissions in the vhost. */
async function accountOf({ broker, vhost }: TestInstallation, user: string): Promise<unknown> {
  const { body } = await manage(broker, 'GET', `/users/${user}`);
  const path = `/permissions/${encodeURIComponent(vhost.vhost)}/${user}`;
  return [body, (await manage(broker, 'GET', path)).body];
}

interface PredecessorNamespace {
  readonly namespace: string;
  readonly users: readonly [string, string];
  /** An AMQP URL with the credentials of its first account. */
  readonly url: string;
  readonly queue: string;
}

/** Creates what a predecessor creates for a namespace, and a queue with three messages. */
async function claimAtPredecessor(
  installation: TestInstallation,
  namespace: string,
  users: readonly [string, string] = [`${namespace}-1`, `${namespace}-2`],
  tags = 'taskcluster-pulse',
): Promise<PredecessorNamespace> {
  const { broker, vhost } = installation;
  const own = `^(queue/${namespace}/.*|exchange/${namespace}/.*)`;
  const rights = { configure: own, write: own, read: `^(queue/${namespace}/.*|exchange/.*)` };
  for (const user of users) {
    await manage(broker, 'PUT', `/users/${user}`, { password: `old-${user}`, tags });
    await manage(broker, 'PUT', `/permissions/${encodeURIComponent(vhost.vhost)}/${user}`, rights);
    addCleanup(async () => void (await manage(broker, 'DELETE', `/users/${user}`, undefined, [404])));
  }
  const url = new URL(vhost.amqpUrl);
  [url.username, url.password] = [users[0], `old-${users[0]}`];
  const channel = await (await openConnection(url.href)).createConfirmChannel();
  const queue = `queue/${namespace}/jobs`;
  await channel.assertExchange(`exchange/${namespace}/jobs`, 'topic');
  await channel.assertQueue(queue, { durable: true });
  await channel.bindQueue(queue, `exchange/${namespace}/jobs`, '#');
  for (const text of ['one', 'two', 'three']) channel.publish(`exchange/${namespace}/jobs`, 'x', Buffer.from(text));
  await channel.waitForConfirms();
  return { namespace, users, url: url.href, queue };
}

/** Waits for the agent event with a routing key, from now on. */
async function listenToEvents({ vhost, names }: TestInstallation): Promise<(routingKey: string) => Promise<void>> {
  const channel = await (await openConnection(vhost.amqpUrl)).createChannel();
  const { queue } = await channel.assertQueue('', { exclusive: true });
  await channel.bindQueue(queue, names.eventsExchange, '#');
  const seen = new Set<string>();
  let wake = (): void => undefined;
  await channel.consume(queue, (message) => void (message && seen.add(message.fields.routingKey) && wake()), {
    noAck: true,
  });
  return async (routingKey) => {
    while (!seen.has(routingKey)) await new Promise<void>((settle) => (wake = settle));
  };
}

async function adopt({ environment }: TestInstallation, namespace: string): Promise<void> {
  const adopted = await runCommandLine(['adopt', namespace], environment);
  assert.equal(await adopted.exited, 0, adopted.stderr());
}

describe('docs/migration.md', function () {
  this.timeout(120_000);
  useSharedBroker();
  const blocks = useBlocks('docs/migration.md');

  it('side by side under other names: the accounts and queues of the predecessor are unchanged', async () => {
    const prefix = `${unique('taskcluster-team-tc')}-`;
    const settings = parse(blocks.take('namespacePrefix: tc-', { 'tc-': prefix }).text) as object;
    const installation = await makeInstallation({
      settings: { ...settings, rotationIntervalSeconds: 2, reconcileIntervalSeconds: 1 },
    });
    const old = await claimAtPredecessor(installation, unique('taskcluster-old'));
    const before = await Promise.all(old.users.map((user) => accountOf(installation, user)));
    const consumer = await (await openConnection(old.url)).createChannel();

    await installation.start();
    const untilEvent = await listenToEvents(installation);
    const env = clientEnvironment(installation);
    const block = blocks.take('npx pulse-agent ping', {
      'amqps://pulse-agent-claimant:…@pulse.example.com/pulse-agent': env['PULSE_AGENT_URL'] ?? '',
      'project/builds/worker': env['TASKCLUSTER_CLIENT_ID'] ?? '',
      "'…'": `'${env['TASKCLUSTER_ACCESS_TOKEN'] ?? ''}'`,
      'npx pulse-agent': await commandLine(),
      'tc-': prefix,
    });
    const { stdout } = await runShell(block, { env });
    assert.ok(stdout.includes(`${prefix}builds`), stdout);

    // Rotations, reconciliations, and the deletion of the new namespace.
    const rpc = await installation.rpc(TEAM);
    await untilEvent(`namespace.rotated.${prefix}builds`);
    await rpc.request('release-namespace', { namespace: `${prefix}builds` });
    await untilEvent(`namespace.expired.${prefix}builds`);

    assert.deepEqual(await Promise.all(old.users.map((user) => accountOf(installation, user))), before);
    assert.equal((await consumer.checkQueue(old.queue)).messageCount, 3, 'the old connection lives, with its queue');
  });

  it('in place: claimed namespaces find their queues, and old accounts work until they are deleted', async () => {
    const settings = parse(blocks.take('namespacePrefix: taskcluster-', { 'agent-': `${unique('agent')}-` }).text) as {
      usernamePrefix: string;
    };
    const installation = await makeInstallation({ settings });
    const old = await claimAtPredecessor(installation, unique('taskcluster-team'));
    const unclaimed = await claimAtPredecessor(installation, unique('taskcluster-other'));
    const before = await Promise.all([...old.users, ...unclaimed.users].map((user) => accountOf(installation, user)));
    assert.match(blocks.take('npx pulse-agent adopt').text, /^ *npx pulse-agent adopt taskcluster-builds\n$/);
    await adopt(installation, old.namespace);
    await installation.start();

    const env = clientEnvironment(installation);
    const claim = blocks.take('npx pulse-agent list', {
      'npx pulse-agent': await commandLine(),
      'taskcluster-builds': old.namespace,
    });
    assert.ok((await runShell(claim, { env })).stdout.includes(old.namespace));
    const rpc = await installation.rpc(TEAM);
    const { connectionString } = await rpc.request('claim-namespace', { namespace: old.namespace });
    assert.equal(new URL(connectionString).username, `${settings.usernamePrefix}${old.namespace}-1`);

    const moved = await (await openConnection(connectionString)).createChannel();
    const message = await moved.get(old.queue, { noAck: true });
    assert.equal(message && message.content.toString(), 'one', 'the messages stay in the queue');
    const unmoved = await (await openConnection(old.url)).createChannel();
    assert.equal((await unmoved.checkQueue(old.queue)).messageCount, 2);
    assert.deepEqual(
      await Promise.all([...old.users, ...unclaimed.users].map((user) => accountOf(installation, user))),
      before,
    );

    const closed = new Promise((settle) => unmoved.once('close', settle));
    const deletion = blocks.take('curl', { 'taskcluster-builds': old.namespace });
    await runShell(deletion, { env: { RABBITMQ_MANAGEMENT_URL: installation.vhost.managementUrl } });
    await closed;
    assert.equal((await moved.checkQueue(old.queue)).messageCount, 2);
    const unclaimedChannel = await (await openConnection(unclaimed.url)).createChannel();
    assert.equal(
      (await unclaimedChannel.checkQueue(unclaimed.queue)).messageCount,
      3,
      'the queue of an unclaimed namespace is left alone',
    );
  });

  it('beside PulseGuardian: an account named as the namespace keeps working; one named like the agent’s is left alone', async () => {
    const replace = { 'team-': 'taskcluster-team', 'agent-': `${unique('agent')}-` };
    const settings = parse(blocks.take('namespacePrefix: team-', replace).text) as { usernamePrefix: string };
    const installation = await makeInstallation({ settings });
    const namespace = unique('taskcluster-team');
    const [account, lookalike] = [namespace, `${namespace}-1`];
    const { url, queue } = await claimAtPredecessor(installation, namespace, [account, lookalike], '');
    const before = await Promise.all([account, lookalike].map((user) => accountOf(installation, user)));
    await adopt(installation, namespace);
    await installation.start();
    const rpc = await installation.rpc(TEAM);
    const { connectionString } = await rpc.request('claim-namespace', { namespace });
    assert.equal(new URL(connectionString).username, `${settings.usernamePrefix}${namespace}-1`);
    for (const [who, left] of [
      [connectionString, 2],
      [url, 1],
    ] as const) {
      const channel = await (await openConnection(who)).createChannel();
      assert.ok(await channel.get(queue, { noAck: true }));
      assert.equal((await channel.checkQueue(queue)).messageCount, left);
    }
    assert.deepEqual(await Promise.all([account, lookalike].map((user) => accountOf(installation, user))), before);
  });

  it('a lease replaces the credentials of taskcluster-lib-pulse', async () => {
    const installation = await makeInstallation();
    await installation.start();
    const namespace = unique('taskcluster-team');
    const block = blocks.take('PulseAgentClient', {
      "'pulse-agent/client'": `'${pathToFileURL(await builtFile('src/client/index.js')).href}'`,
      'taskcluster-builds': namespace,
      'url: process.env.PULSE_AGENT_URL,': `url: process.env.PULSE_AGENT_URL,
        id: process.env.PULSE_AGENT_ID,
        audience: process.env.PULSE_AGENT_AUDIENCE,`,
    });
    const file = join(makeFolder('migration'), 'service.mjs');
    writeFileSync(file, block.text);
    const run: Block = { ...block, text: `${process.execPath} ${file}` };
    const { stdout } = await runShell(run, { env: clientEnvironment(installation) });
    assert.equal(stdout, `connected as ${installation.config.usernamePrefix}${namespace}-1\n`);
  });

  it('accounts have the same rights, and may send requests to the agent', () => {
    const { tenants } = permissionsOf(
      { id: 'pulse-agent', vhost: 'tenants', requestVhost: 'requests' },
      'taskcluster-x',
    );
    const { configure, write, read } = tenants ?? assert.fail();
    const old = {
      own: /^(queue\/taskcluster-x\/.*|exchange\/taskcluster-x\/.*)/,
      read: /^(queue\/taskcluster-x\/.*|exchange\/.*)/,
    };
    const names = ['queue/taskcluster-x/q', 'exchange/taskcluster-x/e', 'exchange/other/e', 'queue/other/q', 'plain'];
    for (const name of names) {
      assert.equal(new RegExp(configure).test(name), old.own.test(name), name);
      assert.equal(new RegExp(write).test(name), old.own.test(name), name);
      assert.equal(new RegExp(read).test(name), old.read.test(name), name);
    }
  });
});
