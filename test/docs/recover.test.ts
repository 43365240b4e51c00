import assert from 'node:assert/strict';
import { mkdirSync, rmSync } from 'node:fs';
import { connect } from 'amqplib';
import { startRabbitMQ } from '../../dev/rabbitmq.ts';
import { makeInstallation, TEAM, teamNamespace } from '../support/agent.ts';
import { brokerEventsStep } from '../../src/verify/broker-events-step.ts';
import { BROKER_START_MS, manage, openConnection } from '../support/broker.ts';
import { pathWithCommandsOf } from '../support/broker-commands.ts';
import { addCleanup } from '../support/cleanup.ts';
import { concurrentTests } from '../support/concurrent-tests.ts';
import { silenceBrokerEvents } from '../support/event-exchange.ts';
import { makeFolder } from '../support/folders.ts';
import { waitUntil } from '../support/watched-installation.ts';
import { runCommandLine } from '../support/command-line.ts';
import { runShell, useBlocks } from './blocks.ts';
import { readDocument } from './documents.ts';

describe('docs/recover.md', function () {
  this.timeout(2 * BROKER_START_MS);
  const recover = useBlocks('docs/recover.md');

  concurrentTests((it) => {
    it('RabbitMQ came back empty: the credentials of clients work again, from the records alone', async () => {
      const broker = await startRabbitMQ({ folder: makeFolder('lost-broker') });
      addCleanup(() => broker.kill());
      const installation = await makeInstallation({ broker });
      const { config, vhost } = installation;
      const agent = await installation.start();
      const namespace = teamNamespace();
      const { connectionString } = await (await installation.rpc(TEAM)).request('claim-namespace', { namespace });
      await agent.stop();

      // The broker loses everything; the procedure creates vhost and user again.
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
      assert.equal(await plan.exited, 0, plan.stderr());
      assert.match(plan.stdout(), new RegExp(`${namespace}-1","why":\\["account"`));
      await installation.start();
      await (await connect(connectionString)).close();
      await (await installation.rpc(TEAM)).request('claim-namespace', { namespace });
    });

    it('the store is empty, with a backup: all credentials keep working', async () => {
      const installation = await makeInstallation();
      const { config } = installation;
      const folder = config.storeUrl.reveal().slice('lmdb:'.length);
      const agent = await installation.start();
      const namespace = teamNamespace();
      const { connectionString } = await (await installation.rpc(TEAM)).request('claim-namespace', { namespace });
      await agent.stop();
      const backup = makeFolder('backup');
      const copy = recover.take('cp -a', {
        '/var/lib/pulse-agent/': '"$FROM"/',
        '/var/backups/pulse-agent/': '"$TO"/',
      });
      await runShell(copy, { env: { FROM: folder, TO: backup } });
      rmSync(folder, { recursive: true });
      mkdirSync(folder);
      await runShell(copy, { env: { FROM: backup, TO: folder } });
      await installation.start();
      await (await connect(connectionString)).close();
      const again = await (await installation.rpc(TEAM)).request('claim-namespace', { namespace });
      assert.equal(again.connectionString, connectionString);
    });

    it('the store is empty, without a backup: after adopt, credentials work until the next claim', async () => {
      const installation = await makeInstallation();
      const agent = await installation.start();
      const namespace = teamNamespace();
      const { connectionString } = await (await installation.rpc(TEAM)).request('claim-namespace', { namespace });
      await agent.stop();
      rmSync(installation.config.storeUrl.reveal().slice('lmdb:'.length), { recursive: true });
      assert.match(recover.take('pulse-agent adopt').text, /^npx pulse-agent adopt\n$/);
      const adopted = await runCommandLine(['adopt'], installation.environment);
      assert.equal(await adopted.exited, 0, adopted.stderr());
      await installation.start();
      await (await connect(connectionString)).close();
      const fresh = await (await installation.rpc(TEAM)).request('claim-namespace', { namespace });
      assert.notEqual(fresh.connectionString, connectionString);
      await (await connect(fresh.connectionString)).close();
    });

    it('broker_events_unavailable, broker_events_silent: the agent gets events afterwards; rabbitmqctl shows the waiting requests', async () => {
      const broker = await startRabbitMQ({ folder: makeFolder('no-events') });
      addCleanup(() => broker.kill());
      const PATH = await pathWithCommandsOf(broker);
      const cure = recover.take('rabbitmq-plugins disable');
      const enable = recover.take('rabbitmq-plugins enable');
      await runShell({ ...enable, text: 'rabbitmq-plugins disable rabbitmq_event_exchange\n' }, { env: { PATH } });
      const installation = await makeInstallation({ broker });
      await installation.start();
      await installation.logged('broker_events_unavailable');
      await runShell(enable, { env: { PATH } });
      await installation.logged('broker_events_started');
      const { names } = installation;
      const connectAsAgent = () => openConnection(broker.amqpUrl);
      const step = brokerEventsStep({ connect: connectAsAgent, names, withinMs: 3_000 });
      const prove = async () => (await step.run(new AbortController().signal)).outcome;
      assert.equal(await prove(), 'ok');
      await silenceBrokerEvents(broker);
      assert.equal(await prove(), 'failed');
      await runShell(cure, { env: { PATH } });
      await waitUntil(async () => (await prove()) === 'ok', 'RabbitMQ sends events to the agent again');
      const { requestVhost } = installation.config;
      for (const [command, shown] of [
        ['rabbitmqctl list_queues -p pulse-agent name messages consumers', /\/v1\/requests\t0\t1$/m],
        ['rabbitmqctl list_connections user peer_host', /\t127\.0\.0\.1$/m],
      ] as const) {
        assert.ok(readDocument('recover.md').includes(`\`${command}\``), command);
        const { stdout } = await runShell(
          { ...enable, text: command.replace('-p pulse-agent ', `-p ${requestVhost} `) },
          { env: { PATH } },
        );
        assert.match(stdout, shown);
      }
    });
  });

  it('leaves the blocks that another test runs, or that no test can run', () => {
    recover.leave('rabbitmqctl change_password', 'test/docs/install.test.ts runs it with the whole of docs/install.md');
    for (const command of ['forget_cluster_node rabbit@c', 'force_boot', 'force_all_queues_shrink', 'delete_queue']) {
      recover.leave(command, 'test/cluster/recover-document.test.ts runs it on a cluster');
    }
    recover.leave('rabbitmq-diagnostics alarms', 'test/docs/recover-outages.test.ts runs it during an alarm');
    recover.leave('set_disk_free_limit', 'test/docs/recover-outages.test.ts ends that alarm with it');
    for (const tool of ['mongodump', 'mongorestore']) {
      recover.leave(`${tool} --uri`, 'no package registry has these tools; the options are from their manual');
    }
  });
});
