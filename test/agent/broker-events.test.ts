import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { connect } from 'amqplib';
import { makeInstallation, TEAM, teamNamespace } from '../support/agent.ts';
import { manage, openConnection, useSharedBroker } from '../support/broker.ts';
import { addCleanup } from '../support/cleanup.ts';
import { unique } from '../support/folders.ts';

describe('what others change on the broker', function () {
  this.timeout(60_000);
  useSharedBroker();

  it('is put right within seconds, as its events tell of it', async () => {
    const installation = await makeInstallation();
    const { broker, config, names } = installation;
    await installation.start();
    await installation.logged('broker_events_started');
    const namespace = teamNamespace();
    const rpc = await installation.rpc(TEAM);
    const { connectionString } = await rpc.request('claim-namespace', { namespace });

    // Somebody else than the agent, whose own changes are meant.
    const operator = unique('operator');
    const password = randomBytes(12).toString('hex');
    addCleanup(async () => void (await manage(broker, 'DELETE', `/users/${operator}`, undefined, [404])));
    await manage(broker, 'PUT', `/users/${operator}`, { password, tags: 'administrator' });
    const inVhost = encodeURIComponent(config.vhost);
    await manage(broker, 'PUT', `/permissions/${inVhost}/${operator}`, { configure: '.*', write: '.*', read: '.*' });
    const byOperator = { ...broker, user: operator, password };
    const account = `${config.usernamePrefix}${namespace}-1`;

    await manage(byOperator, 'DELETE', `/permissions/${inVhost}/${account}`);
    await installation.logged('account_repaired', { account, repaired: /^\["permissions"/ });
    await manage(byOperator, 'DELETE', `/users/${account}`);
    await installation.logged('account_repaired', { account, repaired: /^\["account"/ });
    await (await connect(connectionString)).close();

    const url = new URL(installation.vhost.amqpUrl);
    url.username = operator;
    url.password = password;
    const channel = await (await openConnection(url.href)).createChannel();
    // With such a key the management API cannot list the bindings of an exchange.
    await channel.bindExchange(names.rpcExchange, 'amq.topic', 'a~ü');
    await installation.logged('foreign_binding_removed', { source: 'amq.topic' });
    const { body } = await manage(
      broker,
      'GET',
      `/exchanges/${inVhost}/${encodeURIComponent(names.rpcExchange)}/bindings/destination`,
    );
    assert.deepEqual(body, []);
  });

  it('is found by looking where there is no event exchange, which the agent says', async () => {
    const installation = await makeInstallation({ settings: { eventVhost: unique('nowhere') } });
    await installation.start();
    await installation.logged('broker_events_unavailable', {
      err: { message: /rabbitmq-plugins enable rabbitmq_event_exchange/ },
    });
    const rpc = await installation.rpc(TEAM);
    await rpc.request('claim-namespace', { namespace: teamNamespace() });
  });
});
