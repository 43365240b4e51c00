import { randomBytes } from 'node:crypto';
import { connect } from 'amqplib';
import { makeInstallation, TEAM, teamNamespace } from '../support/agent.ts';
import { manage, useSharedBroker } from '../support/broker.ts';
import { waitUntil } from '../support/watched-installation.ts';
import { addCleanup } from '../support/cleanup.ts';
import { unique } from '../support/folders.ts';

describe('changes on the broker by other clients', function () {
  this.timeout(60_000);
  useSharedBroker();

  it('are repaired within seconds of their broker event', async () => {
    const installation = await makeInstallation();
    const { broker, config } = installation;
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

    const other = unique('vhost');
    addCleanup(async () => void (await manage(broker, 'DELETE', `/vhosts/${other}`, undefined, [404])));
    await manage(byOperator, 'PUT', `/vhosts/${other}`);
    await manage(byOperator, 'PUT', `/permissions/${other}/${account}`, { configure: '.*', write: '.*', read: '.*' });
    await waitUntil(async () => {
      const { body } = await manage(broker, 'GET', `/users/${account}/permissions`);
      return !JSON.stringify(body).includes(other);
    }, 'the permissions in the other vhost are withdrawn');
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
