import assert from 'node:assert/strict';
import type { ChannelModel } from 'amqplib';
import { makeInstallation, REVOKER, TEAM, teamNamespace } from '../support/agent.ts';
import { BROKER_START_MS, openConnection, sharedBroker } from '../support/broker.ts';
import { assertCredentialsWork } from '../support/claim-assertions.ts';
import {
  assertLoginRefused,
  claimOnceAllowed,
  isConflict,
  objectsOf,
  openAndAwaitClose,
  declareObjects,
} from '../support/namespace-lifecycle.ts';
import { linesWith } from '../support/test-log.ts';

describe('the lifecycle of a namespace', function () {
  this.timeout(60_000);

  before('start the shared RabbitMQ', async function () {
    this.timeout(BROKER_START_MS);
    await sharedBroker();
  });

  it('is rotated without an interruption', async () => {
    const installation = await makeInstallation({ settings: { rotationIntervalSeconds: 4 } });
    await installation.start();
    const rpc = await installation.rpc(TEAM);
    const namespace = teamNamespace();
    const first = await rpc.request('claim-namespace', { namespace });
    const held = await openConnection(first.connectionString);
    await declareObjects(held, namespace);
    const credentials = [first.connectionString];
    for (const generation of [2, 3]) {
      await installation.logged('namespace_rotated', { namespace, generation });
      // The previous credentials are still promised.
      await assertCredentialsWork({ ...first, connectionString: credentials.at(-1) ?? '' });
      const next = await rpc.request('claim-namespace', { namespace });
      await assertCredentialsWork(next);
      assert.ok(!credentials.includes(next.connectionString));
      credentials.push(next.connectionString);
    }
    await assertLoginRefused(first.connectionString);
    // An open connection stays open.
    await (await held.createChannel()).checkQueue(`queue/${namespace}/one`);
  });

  it('is deleted with everything that it owns when it expires', async () => {
    const installation = await makeInstallation({
      settings: { rotationIntervalSeconds: 4, expiryAnnouncementSeconds: 3, defaultLifetimeSeconds: 5 },
    });
    await installation.start();
    const rpc = await installation.rpc(TEAM);
    const namespace = teamNamespace();
    const similar = `${namespace}-more`;
    const expires = new Date(Date.now() + 3_600_000).toISOString();
    const kept = await rpc.request('claim-namespace', { namespace: similar, expires });
    await declareObjects(await openConnection(kept.connectionString), similar);
    const claimed = await rpc.request('claim-namespace', { namespace });
    const { connection, closed } = await openAndAwaitClose(claimed.connectionString);
    await declareObjects(connection, namespace);
    await installation.logged('namespace_expiring', { namespace });
    await installation.logged('namespace_deleted', { namespace });
    await closed;
    await assertLoginRefused(claimed.connectionString);
    assert.deepEqual(await objectsOf(installation, namespace), []);
    await assert.rejects(rpc.request('get-namespace', { namespace }), { code: 'ResourceNotFound' });
    await assert.rejects(rpc.request('claim-namespace', { namespace }), isConflict);
    await assertCredentialsWork(kept);
    assert.ok((await objectsOf(installation, similar)).includes(`queue/${similar}/one`));
    assert.equal(linesWith(installation.log, 'namespace_expiring', { namespace }).length, 1);
  });

  it('is deleted when its owner releases it over its own connection, and gets other passwords at the next claim', async () => {
    const installation = await makeInstallation({ settings: { rotationIntervalSeconds: 4 } });
    await installation.start();
    const rpc = await installation.rpc(TEAM);
    const namespace = teamNamespace();
    const claimed = await rpc.request('claim-namespace', { namespace });
    const { connection, closed } = await openAndAwaitClose(claimed.connectionString);
    await declareObjects(connection, namespace);
    const own = await installation.rpc(TEAM, claimed.connectionString);
    const askedMs = performance.now();
    assert.deepEqual(await own.request('release-namespace', { namespace }), { namespace, state: 'expiring' });
    await closed;
    await assertLoginRefused(claimed.connectionString);
    assert.ok(performance.now() - askedMs < 2000);
    await installation.logged('namespace_deleted', { namespace });
    assert.deepEqual(await objectsOf(installation, namespace), []);
    await assert.rejects(rpc.request('release-namespace', { namespace }), { code: 'ResourceNotFound' });
    const again = await claimOnceAllowed(rpc, namespace);
    assert.notEqual(again.connectionString, claimed.connectionString);
    assert.notEqual(again.created, claimed.created);
    await assertCredentialsWork(again);
    await assertLoginRefused(claimed.connectionString);
  });

  it('continues with other credentials after a revocation', async () => {
    const installation = await makeInstallation({ settings: { rotationIntervalSeconds: 4 } });
    await installation.start();
    const rpc = await installation.rpc(TEAM);
    const operator = await installation.rpc(REVOKER);
    const namespace = teamNamespace();
    const first = await rpc.request('claim-namespace', { namespace });
    await installation.logged('namespace_rotated', { namespace });
    const second = await rpc.request('claim-namespace', { namespace });
    const opened = await Promise.all(
      [first, second].map(({ connectionString }) => openAndAwaitClose(connectionString)),
    );
    await declareObjects((opened[0] as { connection: ChannelModel }).connection, namespace);
    await assert.rejects(rpc.request('revoke-namespace', { namespace }), { code: 'InsufficientScopes' });

    assert.deepEqual(await operator.request('revoke-namespace', { namespace }), { namespace });
    await Promise.all(opened.map(({ closed }) => closed));
    for (const { connectionString } of [first, second]) await assertLoginRefused(connectionString);
    const third = await rpc.request('claim-namespace', { namespace });
    await assertCredentialsWork(third);
    assert.ok((await objectsOf(installation, namespace)).includes(`queue/${namespace}/one`));

    const until = new Date(Date.now() + 3_000).toISOString();
    assert.deepEqual(await operator.request('revoke-namespace', { namespace, until }), {
      namespace,
      revokedUntil: until,
    });
    await assertLoginRefused(third.connectionString);
    await assert.rejects(rpc.request('claim-namespace', { namespace }), isConflict);
    await assert.rejects(operator.request('revoke-namespace', { namespace: teamNamespace() }), {
      code: 'ResourceNotFound',
    });
  });
});
