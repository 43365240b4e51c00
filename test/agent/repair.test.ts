import assert from 'node:assert/strict';
import { connect } from 'amqplib';
import { makeInstallation, TEAM, teamNamespace, type TestInstallation } from '../support/agent.ts';
import { BROKER_START_MS, manage } from '../support/broker.ts';
import { linesWith } from '../support/test-log.ts';
import { waitUntil } from '../support/watched-installation.ts';

describe('repair of a running installation', function () {
  this.timeout(BROKER_START_MS);

  it('restores what changed without an agent before it serves, and later changes at the next reconciliation', async () => {
    const installation = await makeInstallation({ settings: { reconcileIntervalSeconds: 1 } });
    const { broker, config } = installation;
    const agent = await installation.start();
    const namespace = teamNamespace();
    const rpc = await installation.rpc(TEAM);
    const { connectionString } = await rpc.request('claim-namespace', { namespace });
    await agent.stop();

    const account = `${config.usernamePrefix}${namespace}-1`;
    await manage(broker, 'DELETE', `/users/${account}`);
    await installation.start();
    assert.ok(linesWith(installation.log, 'account_repaired', { account, repaired: /^\["account"/ }).length > 0);
    await (await connect(connectionString)).close();

    await manage(broker, 'PUT', `/users/${account}`, { password: 'by hand', tags: '' });
    await installation.logged('account_repaired', { account, repaired: /^\["password"/ });
    await (await connect(connectionString)).close();
  });

  it('declares its topology and the backstop again after they were deleted', async () => {
    const installation = await makeInstallation({ settings: { reconcileIntervalSeconds: 1 } });
    const { broker, names, config } = installation;
    await installation.start();
    const vhost = encodeURIComponent(config.vhost);
    const backstop = `/operator-policies/${vhost}/${config.id}-v1-backstop`;
    const exchange = `/exchanges/${vhost}/${encodeURIComponent(names.eventsExchange)}`;
    const before = await manage(broker, 'GET', backstop);
    installation.log.splice(0);
    await manage(broker, 'DELETE', exchange);
    await manage(broker, 'DELETE', backstop);
    await installation.logged('backstop_changed');
    assert.deepEqual(await manage(broker, 'GET', backstop), before);
    // A reconciliation that ran during the deletions may have declared the topology just before.
    await waitUntil(
      async () => (await manage(broker, 'GET', exchange, undefined, [404])).status === 200,
      'the exchange for events is declared again',
    );
    await assertServes(installation);
  });

  const assertServes = async (installation: TestInstallation): Promise<void> => {
    const rpc = await installation.rpc(TEAM);
    await rpc.request('claim-namespace', { namespace: teamNamespace() });
  };
});
