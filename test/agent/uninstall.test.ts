import assert from 'node:assert/strict';
import { markerNames } from '../../src/broker/marker.ts';
import { contractNames } from '../../src/contract/names.ts';
import { makeInstallation, TEAM, teamNamespace, type TestInstallation } from '../support/agent.ts';
import { BROKER_START_MS, manage, openConnection } from '../support/broker.ts';
import { assertCredentialsWork } from '../support/claim-assertions.ts';
import { addCleanup } from '../support/cleanup.ts';
import { runCommandLine } from '../support/command-line.ts';
import { unique } from '../support/folders.ts';
import { assertLoginRefused, declareObjects } from '../support/namespace-lifecycle.ts';

describe('an uninstallation', function () {
  this.timeout(BROKER_START_MS);

  it('shows, removes all that agents made, leaves everything else, and can be repeated', async () => {
    // The agent creates the vhost of its requests itself.
    const requestVhost = unique('requests');
    const installation = await installationWith(requestVhost);
    const { broker, config, names, vhost } = installation;
    const neighbour = await neighbourOf(installation);
    const agent = await installation.start();
    await (await neighbour.start()).stop();
    const namespace = teamNamespace();
    const rpc = await installation.rpc(TEAM);
    const claimed = await rpc.request('claim-namespace', { namespace });
    await declareObjects(await openConnection(claimed.connectionString), namespace);
    const theirs = `queue/${teamNamespace()}/theirs`;
    const inVhost = encodeURIComponent(vhost.vhost);
    await manage(broker, 'PUT', `/queues/${inVhost}/${encodeURIComponent(theirs)}`, { durable: true });

    const busy = await uninstall(installation, '--yes');
    assert.equal(busy.exit, 4);
    assert.match(busy.stderr, /held by process/);
    assert.ok((await traces(installation)).length > 0);
    await agent.stop();

    const before = await traces(installation);
    const shown = await uninstall(installation);
    assert.equal(shown.exit, 0, shown.stderr);
    for (const name of [names.claimantUser, names.eventsExchange, `${config.id}-v1-backstop`, requestVhost]) {
      assert.ok(shown.stdout.includes(name), `${name} is not in ${shown.stdout}`);
    }
    assert.match(shown.stdout, /This is left:[^]*the store lmdb:[^]*Nothing was removed: add --yes/);
    assert.deepEqual(await traces(installation), before);

    const removed = await uninstall(installation, '--yes');
    assert.equal(removed.exit, 0, `${removed.stdout}${removed.stderr}`);
    assert.match(removed.stdout, /All of it is removed\.[^]*accounts?, 2 queues, 1 exchange of namespaces/);
    assert.deepEqual(await traces(installation), []);
    await assertCredentialsWork(claimed);

    const wanted = `queue/${namespace}/one`;
    const exempt = async (...options: readonly string[]): Promise<unknown> =>
      await (await runCommandLine(['exempt', wanted, ...options], installation.environment)).exited;
    assert.equal(await exempt('--until', '2h'), 0);
    const partly = await uninstall(installation, '--namespaces', '--yes');
    assert.equal(partly.exit, 0, partly.stderr);
    assert.match(partly.stdout, RegExp(`queues ${wanted}: they are exempt now`));
    assert.equal((await manage(broker, 'GET', `/queues/${inVhost}/${encodeURIComponent(wanted)}`)).status, 200);
    assert.equal(await exempt('--end'), 0);
    await assertLoginRefused(claimed.connectionString);
    const withNamespaces = await uninstall(installation, '--namespaces', '--yes', '--json');
    assert.equal(withNamespaces.exit, 0, withNamespaces.stderr);
    const { removed: isDone, steps } = JSON.parse(withNamespaces.stdout);
    assert.deepEqual([isDone, steps.flatMap((step: { names: string[] }) => step.names)], [true, [wanted]]);
    const { body: queues } = await manage(broker, 'GET', `/queues/${inVhost}`);
    assert.deepEqual(
      (queues as { name: string }[]).map(({ name }) => name).filter((name) => name.includes('taskcluster-')),
      [theirs],
    );
    const again = await uninstall(installation, '--namespaces', '--yes');
    assert.deepEqual([again.exit, /There was nothing to remove\./.test(again.stdout)], [0, true]);

    const audited = await runCommandLine(['audit', '--json'], installation.environment);
    await audited.exited;
    assert.match(audited.stdout(), /"actor":"operator".*"action":"uninstallation"/);
    // The neighbour has another id and store, and the same vhosts.
    assert.ok((await traces(neighbour)).length > 8);
    await neighbour.start();
    assert.equal((await (await neighbour.rpc()).request('ping', {})).alive, true);
    await installation.start();
    assert.equal((await (await installation.rpc()).request('ping', {})).alive, true, 'it can be installed again');
  });

  it('keeps a vhost of requests with foreign queues, unless it is told otherwise', async () => {
    const requestVhost = unique('requests');
    const installation = await installationWith(requestVhost);
    const { broker, names } = installation;
    await (await installation.start()).stop();
    const everything = { configure: '.*', write: '.*', read: '.*' };
    await manage(broker, 'PUT', `/permissions/${requestVhost}/${broker.user}`, everything);
    const theirs = `/queues/${requestVhost}/theirs`;
    await manage(broker, 'PUT', theirs, { durable: true });
    const kept = await uninstall(installation, '--yes');
    assert.equal(kept.exit, 0, kept.stderr);
    assert.match(kept.stdout, RegExp(`the vhost ${requestVhost}: it has things that no agent made \\(queue theirs\\)`));
    assert.equal((await manage(broker, 'GET', theirs)).status, 200);
    const own = `/queues/${requestVhost}/${encodeURIComponent(names.requestQueue)}`;
    assert.equal((await manage(broker, 'GET', own, undefined, [404])).status, 404);
    const forced = await uninstall(installation, '--yes', '--request-vhost');
    assert.equal(forced.exit, 0, forced.stderr);
    assert.equal((await manage(broker, 'GET', `/vhosts/${requestVhost}`, undefined, [404])).status, 404);
  });

  it('goes on after a failure, exits with 1 and keeps the marker; the next run removes the rest', async () => {
    const installation = await makeInstallation();
    const { broker, config, names, vhost } = installation;
    await (await installation.start()).stop();
    const rights = `/permissions/${encodeURIComponent(vhost.vhost)}/${vhost.user}`;
    // RabbitMQ lets no one delete an exchange who may not configure it.
    await manage(broker, 'PUT', rights, { configure: '^$', write: '.*', read: '.*' });
    const failed = await uninstall(installation, '--yes', '--json');
    assert.equal(failed.exit, 1, failed.stderr);
    const { removed, steps, remaining } = JSON.parse(failed.stdout);
    assert.equal(removed, false);
    const outcomes = new Map(steps.map((step: { about: string; outcome: string }) => [step.about, step.outcome]));
    assert.equal(outcomes.get('the exchange of agent events'), 'failed');
    assert.equal(outcomes.get('the marker'), 'kept');
    assert.equal(outcomes.get('the queues of broker events'), 'removed');
    assert.deepEqual(
      remaining.flatMap((step: { names: string[] }) => step.names),
      [names.eventsExchange, ...markerNames(config)],
    );
    const [fault] = steps.flatMap((step: { failed: object[] }) => step.failed);
    assert.equal(fault.code, 'BrokerRefused');
    await manage(broker, 'PUT', rights, { configure: '.*', write: '.*', read: '.*' });
    assert.equal((await uninstall(installation, '--yes')).exit, 0);
    const left = await traces(installation);
    assert.deepEqual(left, [`/vhosts/${config.requestVhost}`], 'which no agent created');
  });

  it('refuses while an agent with another store runs, and a broker of another store', async () => {
    const installation = await makeInstallation();
    const { environment } = installation;
    const agent = await installation.start();
    await agent.stop();
    const refused = await runCommandLine(['uninstall'], {
      ...environment,
      STORE_URL: `${environment['STORE_URL']}-lost`,
    });
    assert.equal(await refused.exited, 4);
    assert.match(refused.stderr(), /There is no store in/);
    await installation.start();
    const copy = await makeInstallation();
    await (await copy.start()).stop();
    const foreign = await runCommandLine(['uninstall', '--yes'], {
      ...environment,
      STORE_URL: copy.environment['STORE_URL'] ?? '',
    });
    assert.equal(await foreign.exited, 3);
    assert.match(foreign.stderr(), /The broker is marked since/);
    assert.equal((await (await installation.rpc()).request('ping', {})).alive, true);
  });
});

/** An installation whose agents create the vhost of their requests. */
async function installationWith(requestVhost: string, environment = {}): Promise<TestInstallation> {
  const installation = await makeInstallation({ settings: { requestVhost }, environment });
  const { broker } = installation;
  addCleanup(async () => void (await manage(broker, 'DELETE', `/vhosts/${requestVhost}`, undefined, [404])));
  return installation;
}

/** Another installation in the same vhosts of tenants and events. */
async function neighbourOf({ vhost }: TestInstallation): Promise<TestInstallation> {
  const environment = { RABBITMQ_URL: vhost.amqpUrl, RABBITMQ_MANAGEMENT_URL: vhost.managementUrl };
  return await installationWith(unique('requests'), environment);
}

async function uninstall({ environment }: TestInstallation, ...options: readonly string[]) {
  const command = await runCommandLine(['uninstall', ...options], environment);
  const exit = await command.exited;
  return { exit, stdout: command.stdout(), stderr: command.stderr() };
}

/** What an installation has on the broker for itself. */
async function traces({ broker, config }: TestInstallation): Promise<string[]> {
  const names = contractNames(config.id);
  const [tenants, events, requests] = [config.vhost, config.eventVhost, config.requestVhost].map(encodeURIComponent);
  const paths = [
    `/users/${names.claimantUser}`,
    `/vhosts/${requests}`,
    `/exchanges/${tenants}/${encodeURIComponent(names.eventsExchange)}`,
    `/queues/${events}/${encodeURIComponent(names.brokerEventsQueue)}`,
    `/queues/${events}/${encodeURIComponent(names.tenantEventsQueue)}`,
    `/policies/${events}/${config.id}-v1-broker-events`,
    `/policies/${events}/${config.id}-v1-tenant-events`,
    `/operator-policies/${tenants}/${config.id}-v1-backstop`,
    ...markerNames(config).map((name) => `/global-parameters/${encodeURIComponent(name)}`),
  ];
  const found = await Promise.all(
    paths.map(async (path) => ({ path, status: (await manage(broker, 'GET', path, undefined, [404])).status })),
  );
  return found.filter(({ status }) => status === 200).map(({ path }) => path);
}
