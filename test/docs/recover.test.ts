import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { connect } from 'amqplib';
import { startRabbitMQ } from '../../src/dev/rabbitmq.ts';
import { makeInstallation, TEAM, teamNamespace } from '../support/agent.ts';
import { BROKER_START_MS, manage } from '../support/broker.ts';
import { addCleanup } from '../support/cleanup.ts';
import { makeFolder } from '../support/folders.ts';
import { runCommandLine } from '../support/command-line.ts';
import { blocksOf, runShell } from './blocks.ts';

/** The block of docs/recover.md that holds this, with other places in it. */
function block(containing: string, replace: Readonly<Record<string, string>>) {
  const found = blocksOf('docs/recover.md').filter(({ text }) => text.includes(containing));
  assert.equal(found.length, 1);
  const [one] = found;
  assert.ok(one !== undefined);
  let { text } = one;
  for (const [from, to] of Object.entries(replace)) text = text.replaceAll(from, to);
  return { ...one, text };
}

describe('docs/recover.md', function () {
  this.timeout(2 * BROKER_START_MS);

  it('RabbitMQ came back empty: what clients have works again, from the records alone', async () => {
    const broker = await startRabbitMQ({ folder: makeFolder('lost-broker') });
    addCleanup(() => broker.kill());
    const installation = await makeInstallation({ broker });
    const { config, vhost } = installation;
    const agent = await installation.start();
    const namespace = teamNamespace();
    const { connectionString } = await (await installation.rpc(TEAM)).request('claim-namespace', { namespace });
    await agent.stop();

    // Everything that the broker had is gone, and the procedure makes vhost and user again.
    const path = encodeURIComponent(vhost.vhost);
    await manage(broker, 'DELETE', `/vhosts/${path}`);
    for (const user of [`${config.usernamePrefix}${namespace}-1`, `${config.id}-claimant`]) {
      await manage(broker, 'DELETE', `/users/${user}`);
    }
    await manage(broker, 'DELETE', `/global-parameters/pulse-agent.${config.usernamePrefix}taskcluster-`);
    await manage(broker, 'PUT', `/vhosts/${path}`);
    await manage(broker, 'PUT', `/permissions/${path}/${vhost.user}`, { configure: '.*', write: '.*', read: '.*' });
    await assert.rejects(connect(connectionString));

    const plan = await runCommandLine(['plan', '--json'], installation.environment);
    assert.equal(await plan.ended, 0, plan.stderr());
    assert.match(plan.stdout(), new RegExp(`${namespace}-1","why":\\["account"`));
    await installation.start();
    await (await connect(connectionString)).close();
    await (await installation.rpc(TEAM)).request('claim-namespace', { namespace });
  });

  it('the store was lost and is restored from a copy: nobody notices', async () => {
    const installation = await makeInstallation();
    const { config } = installation;
    const folder = config.storeUrl.reveal().slice('lmdb:'.length);
    const agent = await installation.start();
    const namespace = teamNamespace();
    const { connectionString } = await (await installation.rpc(TEAM)).request('claim-namespace', { namespace });
    await agent.stop();
    const backup = makeFolder('backup');
    await runShell(block('cp -a', { '/var/lib/pulse-agent': folder, '/var/backups/pulse-agent': backup }));
    rmSync(folder, { recursive: true });
    await runShell(block('cp -a', { '/var/backups/pulse-agent/': folder, '/var/lib/pulse-agent/': `${backup}/` }));
    await installation.start();
    await (await connect(connectionString)).close();
    const again = await (await installation.rpc(TEAM)).request('claim-namespace', { namespace });
    assert.equal(again.connectionString, connectionString);
  });

  it('the store is lost without a copy: adopt, and clients go on until they claim', async () => {
    const installation = await makeInstallation();
    const agent = await installation.start();
    const namespace = teamNamespace();
    const { connectionString } = await (await installation.rpc(TEAM)).request('claim-namespace', { namespace });
    await agent.stop();
    rmSync(installation.config.storeUrl.reveal().slice('lmdb:'.length), { recursive: true });
    assert.match(block('pulse-agent adopt', {}).text, /^npx pulse-agent adopt\n$/);
    const adopted = await runCommandLine(['adopt'], installation.environment);
    assert.equal(await adopted.ended, 0, adopted.stderr());
    await installation.start();
    await (await connect(connectionString)).close();
    const fresh = await (await installation.rpc(TEAM)).request('claim-namespace', { namespace });
    assert.notEqual(fresh.connectionString, connectionString);
    await (await connect(fresh.connectionString)).close();
  });
});
