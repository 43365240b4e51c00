import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { connect } from 'amqplib';
import { makeInstallation, TEAM, teamNamespace } from '../support/agent.ts';
import { manage, openConnection, useSharedBroker } from '../support/broker.ts';
import { addCleanup } from '../support/cleanup.ts';
import { unique } from '../support/folders.ts';

describe('changes on the broker by other clients', function () {
  this.timeout(60_000);
  useSharedBroker();

  it('are repaired within seconds of their broker event', async () => {
    const installation = await makeInstallation();
    const { broker, config, names } = installation;
    await installation.start();
    await installation.logged('broker_events_started');
    const namespace = teamNamespace();
    const rpc = await installation.rpc(TEAM);
    const { connectionString } = await rpc.request('claim-namespace', { namespace });

    // An operator: the agent expects its own changes.
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
    // With this routing key the management API cannot list the bindings of the exchange.
    await channel.bindExchange(names.rpcExchange, 'amq.topic', 'a~ü');
    await installation.logged('foreign_binding_removed', { source: 'amq.topic' });
    const { body } = await manage(
      broker,
      'GET',
      `/exchanges/${inVhost}/${encodeURIComponent(names.rpcExchange)}/bindings/destination`,
    );
    assert.deepEqual(body, []);
  });

  it('are found by reconciliation without an event exchange, which the agent logs', async () => {
    const installation = await makeInstallation({ settings: { eventVhost: unique('nowhere') } });
    await installation.start();
    await installation.logged('broker_events_unavailable', {
      err: { message: /rabbitmq-plugins enable rabbitmq_event_exchange/ },
    });
    const rpc = await installation.rpc(TEAM);
    await rpc.request('claim-namespace', { namespace: teamNamespace() });
  });
});
