import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { idOfSecret } from '../../src/namespaces/accounts/keyring.ts';
import { Secret } from '../../src/util/secret.ts';
import { TEAM, teamNamespace, useInstallation } from '../support/agent.ts';
import { openConnection } from '../support/broker.ts';
import { makeFolder } from '../support/folders.ts';
import { folderWithNpx } from '../support/npx.ts';
import { openShell } from '../support/shell-session.ts';
import { type Block, type BlockRun, runShell, useBlocks } from './blocks.ts';

const VERIFIER = { clientId: 'operator/verifier', accessToken: 'a-token-for-tests-that-is-long-enough-0001' };

describe('docs/operations.md: commands', function () {
  this.timeout(120_000);
  const operations = useBlocks('docs/operations.md');
  const installation = useInstallation();
  const namespace = teamNamespace();
  let path = '';

  before('put the built command line in place of npx, and claim a namespace', async () => {
    path = `${await folderWithNpx()}${delimiter}${process.env['PATH']}`;
    installation().taskcluster.setClient({
      ...VERIFIER,
      scopes: ['pulse:namespace:taskcluster-verify-*', 'pulse:describe:*', 'notify:email:*'],
    });
    await (await installation().rpc(TEAM)).request('claim-namespace', { namespace });
  });

  /** Runs a block as an operator does: with the configuration of the agent and no variable of the test. */
  async function run({ text, ...block }: Block): Promise<BlockRun> {
    const env = {
      ...installation().environment,
      PATH: path,
      TASKCLUSTER_CLIENT_ID: VERIFIER.clientId,
      TASKCLUSTER_ACCESS_TOKEN: VERIFIER.accessToken,
    };
    return await runShell({ ...block, text: `unset "\${!PULSE_AGENT_TEST_@}"\n${text}` }, { env });
  }

  it('verify', async () => {
    const { stdout } = await run(operations.take('npx pulse-agent verify'));
    assert.match(stdout, /^The installation works: /m);
  });

  it('the configuration', async () => {
    const { stdout } = await run(operations.take('npx pulse-agent config check'));
    assert.match(stdout, /^The configuration is valid\.$/m);
    assert.match(stdout, /^rabbitmqUrl +RABBITMQ_URL +amqp:\/\/127\.0\.0\.1:\d+\/\S+$/m);
  });

  it('completion', async () => {
    const { text, ...block } = operations.take('source <(npx pulse-agent completion bash)');
    const { stdout } = await run({ ...block, text: `${text}complete -p pulse-agent` });
    assert.match(stdout, /-F _pulse_agent pulse-agent/);
  });

  it('a dry run beside the agent, with the settings of the agent', async () => {
    const { text } = operations.take("echo 'dryRun: true'");
    const cwd = makeFolder('dry-run');
    const command = `unset "\${!PULSE_AGENT_TEST_@}"\n${text}`;
    const session = openShell(command, { env: { ...installation().environment, PATH: path }, cwd });
    await session.printed('dry_run_started');
    assert.match(session.output(), new RegExp(`"agent":"${installation().config.id}-dry-run"`));
    await session.interrupt('SIGTERM');
  });

  it('namespaces and their counts', async () => {
    const { stdout } = await run(operations.take('npx pulse-agent list', { 'taskcluster-builds': namespace }));
    assert.match(stdout, new RegExp(`^${namespace} +active +${TEAM} +20`, 'm'));
    assert.match(stdout, /^Counted at 20/m);
    assert.match(stdout, /^ {2}connections +0$/m);
  });

  it('queues', async () => {
    const queue = `queue/${namespace}/jobs`;
    await (await (await openConnection(installation().vhost.amqpUrl)).createChannel()).assertQueue(queue);
    // Each of the two commands would measure for 10 s.
    const block = operations.take('npx pulse-agent queues', {
      'npx pulse-agent queues\n': 'npx pulse-agent queues --over 1s\n',
      'taskcluster-builds': `${namespace} --over 1s`,
    });
    const { stdout } = await run(block);
    assert.equal(stdout.split(`${queue} `).length - 1, 2, stdout);
    assert.match(stdout, /^QUEUE +MESSAGES +SIZE +PER MINUTE +WARNED SINCE +NEXT +WHEN$/m);
  });

  it('status', async () => {
    const { stdout } = await run(operations.take('npx pulse-agent status\n'));
    assert.match(stdout, /^\S+ works at /);
    assert.ok(stdout.includes(installation().agent.instance), stdout);
  });

  it('status of a namespace', async () => {
    const block = operations.take('npx pulse-agent status taskcluster-builds', { 'taskcluster-builds': namespace });
    const { stdout } = await run(block);
    assert.match(stdout, new RegExp(`^${namespace} is active at 20`));
    assert.match(stdout, /^QUEUE +STATE +READY +UNACKED +SIZE +CONSUMERS +TREND +PER MINUTE/m);
  });

  it('plan', async () => {
    const { stdout } = await run(operations.take('npx pulse-agent plan', { 'taskcluster-builds': namespace }));
    assert.ok(stdout.includes(namespace), stdout);
  });

  it('audit', async () => {
    const { stdout } = await run(operations.take('npx pulse-agent audit', { 'taskcluster-builds': namespace }));
    assert.ok(stdout.includes(TEAM), stdout);
  });

  it('the id of a secret', async () => {
    const file = join(makeFolder('secret'), 'old');
    const secret = 'an old agent secret of the operators of this broker';
    writeFileSync(file, `${secret}\n`);
    const { stdout } = await run(operations.take('npx pulse-agent secret-id', { 'old-agent-secret': file }));
    assert.equal(stdout, `${idOfSecret(new Secret(secret))}\n`);
  });

  it('an exemption of a queue, beside the agent', async () => {
    const admin = await (await openConnection(installation().vhost.amqpUrl)).createChannel();
    const queue = `queue/${namespace}/jobs`;
    await admin.assertQueue(queue);
    const exempted = await run(
      operations.take('npx pulse-agent exempt queue/taskcluster-builds/jobs --until', {
        'taskcluster-builds': namespace,
      }),
    );
    assert.match(exempted.stdout, new RegExp(`^No agent deletes ${queue} until `, 'm'));
    assert.match(exempted.stdout, new RegExp(`^${queue} +\\S+Z +its consumer is down$`, 'm'));
    const ended = await run(operations.take('jobs --end', { 'taskcluster-builds': namespace }));
    assert.match(ended.stdout, /is no longer exempt/);
  });

  it('the dead letters', async () => {
    const { config, names, vhost, broker } = installation();
    const requester = await installation().requester();
    await requester.publish(requester.compose({ method: 'ping', replyTo: null }));
    await installation().logged('request_served', { sent: 'dead-lettered' });
    const block = operations.take('curl -s -u agent:password', {
      'agent:password': `${vhost.user}:${vhost.password}`,
      'localhost:15672': `127.0.0.1:${broker.managementPort}`,
      '/api/queues/pulse-agent/': `/api/queues/${encodeURIComponent(config.requestVhost)}/`,
      'queue%2Fpulse-agent%2Fv1%2Fdead': encodeURIComponent(names.deadQueue),
    });
    const [letter] = JSON.parse((await run(block)).stdout) as { properties: { headers: Record<string, unknown> } }[];
    assert.match(String(letter?.properties.headers['x-pulse-agent-reason']), /reply_to/);
  });

  it('revoke and adopt, while the agent of an embedded store is stopped', async () => {
    await installation().agent.stop();
    const { stdout } = await run(operations.take('npx pulse-agent revoke', { 'taskcluster-builds': namespace }));
    assert.ok(stdout.includes(namespace), stdout);
    const name = teamNamespace();
    const adopt = operations.take('npx pulse-agent adopt taskcluster-builds', { 'taskcluster-builds': name });
    assert.match((await run(adopt)).stdout, RegExp(`${name}: its next claim takes over`));
    assert.match((await run(operations.take('npx pulse-agent adopt\n'))).stdout, /belong/);
  });

  it('moving the store, and back over a pipe', async () => {
    const { environment } = installation();
    const moved = `lmdb:${join(makeFolder('moved'), 'store')}`;
    const file = join(makeFolder('export'), 'pulse-agent.export');
    const move = operations.take('pulse-agent export /var', {
      '/var/backups/pulse-agent.export': file,
      'mongodb://pulse-agent:password@db.example.com/pulse-agent': moved,
    });
    const { stdout } = await run(move);
    assert.match(stdout, /It is retired: [^]*Imported the store [^]*marked for this store: start the agents/);
    const counts = [...stdout.matchAll(/^namespaces +([1-9]\d*) +([0-9a-f]{64})$/gm)].map(([line]) => line);
    assert.deepEqual([counts.length, counts[0]], [2, counts[1]]);
    const pipe = operations.take('npx pulse-agent export - |', {
      'npx pulse-agent export -': `STORE_URL='${moved}' npx pulse-agent export -`,
      'lmdb:/var/lib/pulse-agent-new': environment['STORE_URL'] ?? '',
      'import -': 'import - --replace',
    });
    assert.match((await run(pipe)).stdout, /Imported the store/);
  });

  it('uninstalling', async () => {
    const shown = await run(operations.take('npx pulse-agent uninstall --namespaces\n'));
    assert.match(shown.stdout, /This would be removed:[^]*add --yes/);
    assert.match((await run(operations.take('uninstall --namespaces --yes'))).stdout, /All of it is removed/);
  });
});
