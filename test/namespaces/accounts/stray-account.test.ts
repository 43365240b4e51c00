import assert from 'node:assert/strict';
import { connect } from 'amqplib';
import { storeTag } from '../../../src/broker/store-tag.ts';
import { readPermissions } from '../../../src/broker/user-permissions.ts';
import { permissionsOf } from '../../../src/namespaces/accounts/account-names.ts';
import { teamNamespace } from '../../support/agent.ts';
import { BROKER_START_MS, manage, openConnection, sharedBroker } from '../../support/broker.ts';
import { assertLoginRefused, openAndAwaitClose } from '../../support/namespace-lifecycle.ts';
import { makeNamespaceRoom, type NamespaceAgent } from '../../support/namespace-room.ts';

const { signal } = new AbortController();

/** A namespace that was never rotated, and a standby account that no agent provisioned, with an open connection. */
async function setUp() {
  const room = await makeNamespaceRoom();
  const { config, broker, store } = room;
  const agent = room.addAgent();
  const namespace = teamNamespace();
  await agent.claim(namespace);
  const account = `${config.usernamePrefix}${namespace}-2`;
  await manage(broker, 'PUT', `/users/${account}`, { password: 'late', tags: 'administrator' });
  await manage(broker, 'PUT', `/user-limits/${account}/max-connections`, { value: 1 });
  await manage(broker, 'PUT', `/permissions/${encodeURIComponent(config.vhost)}/${account}`, EVERYTHING);
  const url = new URL(config.rabbitmqUrl.reveal());
  url.username = account;
  url.password = 'late';
  const strangers = url.href;
  const { closed } = await openAndAwaitClose(strangers);
  while ((await agent.management.listUserConnections(account)).length === 0);
  /** A rotation by another agent, whose credentials a client gets, at the same time. */
  const rotateAndClaim = async (by: NamespaceAgent = agent): Promise<string> => {
    const record = store.peek(namespace) ?? assert.fail();
    store.put({ ...record, revision: record.revision + 1, nextRotationMs: 0 });
    await by.rotation.sweep(signal);
    assert.equal(store.peek(namespace)?.generation, 2);
    return (await by.claim(namespace)).connectionString;
  };
  /** The account on the broker. */
  const seen = async () => ({
    tags: (await agent.management.getUser(account))?.tags,
    ...(await readPermissions(agent.management, account)),
    limits: await agent.management.getUserLimits(account),
  });
  const whole = {
    tags: [storeTag(store.storeId)],
    permissions: permissionsOf(config, namespace),
    topicPermissions: [],
    limits: config.accountLimits,
  };
  return { ...room, agent, namespace, account, strangers, closed, rotateAndClaim, seen, whole };
}

const EVERYTHING = { configure: '.*', write: '.*', read: '.*' };

describe('a stray account', function () {
  this.timeout(60_000);

  before('start the shared RabbitMQ', async function () {
    this.timeout(BROKER_START_MS);
    await sharedBroker();
  });

  it('becomes what the first rotation makes it, and its connections are closed', async () => {
    const { agent, namespace, account, strangers, closed, rotateAndClaim, seen, whole } = await setUp();
    assert.ok(await agent.repair(namespace, signal));
    await closed;
    await assertLoginRefused(strangers);
    assert.deepEqual(await seen(), whole);
    const repaired = ['password', 'tags', 'permissions', 'limits'];
    const reported = agent.events.filter(({ type }) => type === 'account.repaired');
    assert.deepEqual(reported, [{ type: 'account.repaired', data: { namespace, account, repaired } }]);
    assert.equal(await agent.repair(namespace, signal), false);

    await (await connect(await rotateAndClaim())).close();
    assert.deepEqual(await seen(), whole);
  });

  it('is repaired by a late write that does not harm a faster rotation', async () => {
    const site = await setUp();
    const { namespace, rotateAndClaim, store } = site;
    let given = '';
    const slow = site.addAgent({
      async around(step, call) {
        if (/^management\.(putUser|deleteUser)$/.test(step) && given === '') given = await rotateAndClaim();
        return await call();
      },
    });
    await slow.repair(namespace, signal);
    assert.equal(store.peek(namespace)?.generation, 2);
    await (await connect(given)).close();
  });

  it('has connections closed that open before it has another password', async () => {
    const site = await setUp();
    const { namespace, strangers, broker, account } = site;
    await manage(broker, 'DELETE', `/user-limits/${account}/max-connections`);
    let later: Awaited<ReturnType<typeof openAndAwaitClose>> | undefined;
    const repairing = site.addAgent({
      async around(step, call) {
        if (step === 'management.putUser') later = await openAndAwaitClose(strangers);
        return await call();
      },
    });
    await repairing.repair(namespace, signal);
    await (later ?? assert.fail()).closed;
  });

  it('keeps the connections of a client that got it while they were being listed', async () => {
    const site = await setUp();
    const { namespace, rotateAndClaim, broker, account } = site;
    await manage(broker, 'DELETE', `/user-limits/${account}/max-connections`);
    const opened: Awaited<ReturnType<typeof connect>>[] = [];
    let isWritten = false;
    const slow = site.addAgent({
      async around(step, call) {
        isWritten ||= step === 'management.putUser';
        if (isWritten && step === 'management.listUserConnections' && opened.length === 0) {
          opened.push(await openConnection(await rotateAndClaim()));
          while (((await call()) as object[]).length === 0);
        }
        return await call();
      },
    });
    await slow.repair(namespace, signal);
    const [connection] = opened;
    assert.ok(connection);
    await (await connection.createChannel()).close();
  });

  it('is repaired by the next reconciliation wherever the previous one was interrupted', async () => {
    const steps: string[] = [];
    const observed = await setUp();
    const watching = observed.addAgent({
      async around(step, call) {
        if (/^management\.(put|delete|close)/.test(step)) steps.push(step);
        return await call();
      },
    });
    await watching.repair(observed.namespace, signal);
    assert.ok(steps.length >= 4, steps.join());
    for (let broken = 0; broken < steps.length; broken += 1) {
      const site = await setUp();
      const { agent, namespace, strangers, closed, rotateAndClaim, seen, whole } = site;
      let taken = 0;
      const dying = site.addAgent({
        async around(step, call) {
          if (!/^management\.(put|delete|close)/.test(step)) return await call();
          if (taken === broken) throw new Error('It dies.');
          taken += 1;
          return await call();
        },
      });
      await assert.rejects(dying.repair(namespace, signal), /It dies/);
      await agent.repair(namespace, signal);
      await closed;
      await assertLoginRefused(strangers);
      const url = await rotateAndClaim();
      await agent.repair(namespace, signal);
      await (await connect(url)).close();
      assert.deepEqual(await seen(), whole);
    }
  });
});
