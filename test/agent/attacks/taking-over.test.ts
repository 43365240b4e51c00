import assert from 'node:assert/strict';
import type { ConsumeMessage } from 'amqplib';
import { startAgent } from '../../../src/agent/agent.ts';
import { WireError } from '../../../src/contract/wire-errors.ts';
import { accountName } from '../../../src/namespaces/accounts/account-names.ts';
import { createLog } from '../../../src/util/log.ts';
import { readNamePattern } from '../../../src/util/name-pattern.ts';
import { makeInstallation, TEAM, teamNamespace, type TestInstallation } from '../../support/agent.ts';
import { BROKER_START_MS, manage, openConnection, sharedBroker } from '../../support/broker.ts';
import { addCleanup } from '../../support/cleanup.ts';
import { assertCredentialsWork } from '../../support/claim-assertions.ts';
import { runCommandLine } from '../../support/command-line.ts';
import { unique } from '../../support/folders.ts';
import { untilDeleted } from '../../support/namespace-lifecycle.ts';
import { linesWith } from '../../support/test-log.ts';

const EVERYTHING = { configure: '.*', write: '.*', read: '.*' };

/** A user that an administrator created, with rights in another vhost. */
async function createUser({ broker }: TestInstallation, name: string): Promise<void> {
  await manage(broker, 'PUT', `/users/${name}`, { password: 'theirs', tags: 'administrator' });
  await manage(broker, 'PUT', `/permissions/%2F/${name}`, EVERYTHING);
  addCleanup(async () => void (await manage(broker, 'DELETE', `/users/${name}`, undefined, [404])));
}

/** Everything that RabbitMQ has of a user. */
async function userState({ broker }: TestInstallation, name: string): Promise<unknown[]> {
  const paths = [`/users/${name}`, `/users/${name}/permissions`, `/user-limits/${name}`];
  return await Promise.all(paths.map(async (path) => (await manage(broker, 'GET', path)).body));
}

/** The exchanges of a service that does not know the agent. */
async function declareService({ vhost }: TestInstallation, name: string): Promise<string[]> {
  const channel = await (await openConnection(vhost.amqpUrl)).createChannel();
  const exchanges = ['x', 'y', 'z'].map((exchange) => `exchange/${name}/v1/${exchange}`);
  for (const exchange of exchanges) await channel.assertExchange(exchange, 'topic');
  return exchanges;
}

async function exchangesOf({ broker, config }: TestInstallation, name: string): Promise<string[]> {
  const { body } = await manage(broker, 'GET', `/exchanges/${encodeURIComponent(config.vhost)}`);
  const names = (body as { name: string }[]).map((exchange) => exchange.name);
  return names.filter((exchange) => exchange.startsWith(`exchange/${name}/`)).toSorted();
}

function assertFinalConflict(error: Error): void {
  assert.ok(error instanceof WireError);
  assert.deepEqual([error.code, error.retryable], ['RequestConflict', false]);
}

/** The data of each event `namespace.refused` from now on. */
async function listenToRefusals({ vhost, names }: TestInstallation): Promise<unknown[]> {
  const channel = await (await openConnection(vhost.amqpUrl)).createChannel();
  const { queue } = await channel.assertQueue('', { exclusive: true });
  await channel.bindQueue(queue, names.eventsExchange, 'namespace.refused.#');
  const events: unknown[] = [];
  const take = (message: ConsumeMessage | null): void => {
    if (message !== null) events.push((JSON.parse(message.content.toString()) as { data: unknown }).data);
  };
  await channel.consume(queue, take, { noAck: true });
  return events;
}

/** The audit records of refused claims in the log. */
function refusals({ log }: TestInstallation, namespace: string) {
  return linesWith(log, 'audit', { namespace, action: 'claim', outcome: /^refused/ });
}

describe('a first claim', function () {
  this.timeout(BROKER_START_MS);

  before('start the shared RabbitMQ', async () => {
    await sharedBroker();
  });

  for (const slot of [1, 2] as const) {
    it(`does not take over an administrator's user that has the name of account ${slot}`, async () => {
      const installation = await makeInstallation({ settings: { reconcileIntervalSeconds: 1 } });
      const namespace = teamNamespace();
      const user = accountName(installation.config.usernamePrefix, namespace, slot);
      await createUser(installation, user);
      const before = await userState(installation, user);
      await installation.start();
      const events = await listenToRefusals(installation);
      const rpc = await installation.rpc(TEAM);
      for (let claims = 0; claims < 3; claims += 1) {
        await assert.rejects(rpc.request('claim-namespace', { namespace }), (error: Error) => {
          assertFinalConflict(error);
          assert.match(error.message, new RegExp(`${user} .* operator to rename or delete`));
          return true;
        });
      }
      await assert.rejects(rpc.request('release-namespace', { namespace }), { code: 'ResourceNotFound' });
      await installation.logged('unknown_users', { users: RegExp(user) });
      assert.deepEqual(await userState(installation, user), before);
      assert.equal(refusals(installation, namespace).length, 1);
      assert.equal(linesWith(installation.log, 'namespace_refused', { namespace, subject: user }).length, 1);
      assert.deepEqual(events, [{ namespace, clientId: TEAM, reason: 'account' }]);
      // When the operator has removed the user, the name is free.
      await manage(installation.broker, 'DELETE', `/users/${user}`);
      await assertCredentialsWork(await rpc.request('claim-namespace', { namespace }));
    });
  }

  it('does not take over the exchanges of a service; after `adopt` it does', async () => {
    const installation = await makeInstallation();
    const namespace = teamNamespace();
    const exchanges = await declareService(installation, namespace);
    const agent = await installation.start();
    const rpc = await installation.rpc(TEAM);
    for (let claims = 0; claims < 2; claims += 1) {
      await assert.rejects(rpc.request('claim-namespace', { namespace }), (error: Error) => {
        assertFinalConflict(error);
        assert.match(error.message, new RegExp(`"pulse-agent adopt ${namespace}"`));
        return true;
      });
    }
    await assert.rejects(rpc.request('release-namespace', { namespace }), { code: 'ResourceNotFound' });
    assert.deepEqual(await exchangesOf(installation, namespace), exchanges);
    assert.equal(refusals(installation, namespace).length, 1);
    await agent.stop();

    const adopted = await runCommandLine(['adopt', namespace], installation.environment);
    assert.equal(await adopted.exited, 0, adopted.stderr());
    assert.match(adopted.stdout(), /its next claim takes over its queues and exchanges/);
    const audited = await runCommandLine(['audit', '--namespace', namespace, '--json'], installation.environment);
    assert.equal(await audited.exited, 0);
    assert.match(audited.stdout(), /"actor":"operator".*"action":"adoption"/);
    await installation.start();
    await assertCredentialsWork(await rpc.request('claim-namespace', { namespace }));
    assert.deepEqual(await exchangesOf(installation, namespace), exchanges);
    await rpc.request('release-namespace', { namespace });
    await untilDeleted(installation, rpc, namespace);
    assert.deepEqual(await exchangesOf(installation, namespace), []);
  });

  it('of a reserved name is refused, and nothing under the name is ever deleted', async () => {
    const reserved = teamNamespace();
    const installation = await makeInstallation();
    const agent = await installation.start();
    // It was claimed before it was reserved.
    const rpc = await installation.rpc(TEAM);
    await rpc.request('claim-namespace', { namespace: reserved });
    const exchanges = await declareService(installation, reserved);
    await agent.stop();
    const config = { ...installation.config, reservedNamespaces: [readNamePattern(reserved)] };
    const later = await startAgent(config, { log: createLog(config, { write: () => undefined }) });
    addCleanup(() => later.stop());
    await assert.rejects(rpc.request('claim-namespace', { namespace: reserved }), {
      code: 'InputError',
      message: /reserved/,
    });
    await rpc.request('release-namespace', { namespace: reserved });
    for (;;) {
      const found = await rpc.request('get-namespace', { namespace: reserved }).catch((error: unknown) => error);
      if (found instanceof Error) break;
    }
    assert.deepEqual(await exchangesOf(installation, reserved), exchanges);
  });

  it("leaves the names of Taskcluster's services to them by default, with their queues unbounded", async () => {
    const installation = await makeInstallation();
    await installation.start();
    const { broker, config } = installation;
    const vhost = encodeURIComponent(config.vhost);
    const { body } = await manage(broker, 'GET', `/operator-policies/${vhost}/${config.id}-v1-backstop`);
    const { pattern } = body as { pattern: string };
    const matches = (queue: string) => new RegExp(pattern).test(queue);
    assert.ok(matches('queue/taskcluster-builds/q'));
    assert.ok(!matches('queue/taskcluster-queue/v1/q') && !matches('queue/taskcluster-auth/q'));
  });
});

describe('an account', function () {
  this.timeout(BROKER_START_MS);

  it('has one tag, which grants nothing: the management API refuses it', async () => {
    const installation = await makeInstallation();
    await installation.start();
    const namespace = teamNamespace();
    const { connectionString } = await (await installation.rpc(TEAM)).request('claim-namespace', { namespace });
    const { username, password } = new URL(connectionString);
    const [user] = await userState(installation, username);
    const { tags } = user as { tags: string[] };
    assert.equal(tags.length, 1);
    assert.match(tags[0] ?? '', /^pulse-agent-[\w-]{22}$/);
    const claimant = installation.names.claimantUser;
    assert.deepEqual(((await userState(installation, claimant))[0] as { tags: string[] }).tags, tags);
    for (const [name, secret] of [
      [username, decodeURIComponent(password)],
      [claimant, installation.claimantPassword],
    ] as const) {
      const authorization = `Basic ${Buffer.from(`${name}:${secret}`).toString('base64')}`;
      for (const path of ['whoami', 'overview', 'queues', 'users']) {
        const url = `${new URL(installation.vhost.managementUrl).origin}/api/${path}`;
        assert.equal((await fetch(url, { headers: { authorization } })).status, 401, path);
      }
    }
  });

  it('given rights in another vhost or by topic loses them, at the next reconciliation', async () => {
    const installation = await makeInstallation({ settings: { reconcileIntervalSeconds: 1 } });
    const { broker } = installation;
    await installation.start();
    const namespace = teamNamespace();
    const { connectionString } = await (await installation.rpc(TEAM)).request('claim-namespace', { namespace });
    const { username } = new URL(connectionString);
    const before = await userState(installation, username);
    await manage(broker, 'PUT', `/permissions/%2F/${username}`, EVERYTHING);
    await installation.logged('account_repaired', { account: username, repaired: ['permissions'] });
    assert.deepEqual(await userState(installation, username), before);
    installation.log.splice(0);
    const inVhost = encodeURIComponent(installation.config.vhost);
    const topic = `/topic-permissions/${inVhost}/${username}`;
    await manage(broker, 'PUT', topic, { exchange: `exchange/${namespace}/x`, write: '.*', read: '.*' });
    await installation.logged('account_repaired', { account: username, repaired: ['permissions'] });
    assert.deepEqual((await manage(broker, 'GET', `/users/${username}/topic-permissions`)).body, []);
  });
});

describe('a second installation on one broker', function () {
  this.timeout(BROKER_START_MS);

  before('start the shared RabbitMQ', async () => {
    await sharedBroker();
  });

  for (const shared of ['id', 'requestVhost'] as const) {
    it(`stops at its start with one sentence when it has the same ${shared} in another vhost`, async () => {
      const first = await makeInstallation();
      await first.start();
      const claimant = await userState(first, first.names.claimantUser);
      const second = await makeInstallation({ settings: { [shared]: first.config[shared] } });
      assert.notEqual(second.config.vhost, first.config.vhost);
      await assert.rejects(second.start(), (error: Error) => {
        assert.equal(error.name, 'BrokerMarked');
        assert.match(error.message, /^The broker is marked since [^\n]*pulse-agent adopt[^\n]*\.$/);
        return true;
      });
      assert.deepEqual(await userState(first, first.names.claimantUser), claimant);
      const namespace = unique('taskcluster-team');
      await assertCredentialsWork(await (await first.rpc(TEAM)).request('claim-namespace', { namespace }));
    });
  }
});
