import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { type LocalRabbitMQ, startRabbitMQ } from '../../dev/rabbitmq.ts';
import { freePorts } from '../../dev/processes.ts';
import { BROKER_START_MS } from '../support/broker.ts';
import { pathWithCommandsOf } from '../support/broker-commands.ts';
import { addCleanup } from '../support/cleanup.ts';
import { makeFolder } from '../support/folders.ts';
import { mongoDatabase, useSharedMongoDB } from '../support/mongodb.ts';
import { folderWithNpx } from '../support/npx.ts';
import { openShell, type ShellSession } from '../support/shell-session.ts';
import { blocksOf, runShell, useBlocks } from './blocks.ts';

/** Removes the variables of the test run, which an agent would reject as unknown. */
const WITHOUT_TESTS = 'unset ${!PULSE_AGENT_@}\n';

describe('docs/install.md, from the first block to the last', function () {
  this.timeout(2 * BROKER_START_MS);
  const mongodb = useSharedMongoDB();
  const document = useBlocks('docs/install.md');
  let broker: LocalRabbitMQ;
  /** What the stand-in for Taskcluster prints. */
  let taskcluster: Readonly<Record<string, string>>;
  let etc: string;
  let path: string;

  before('start a broker without the agent’s user, and Taskcluster', async () => {
    broker = await startRabbitMQ({ folder: makeFolder('install-broker') });
    addCleanup(() => broker.kill());
    await broker.rabbitmqctl(['delete_user', broker.user]);
    etc = makeFolder('etc');
    const standIn = openShell(`exec npm run --silent taskcluster -- --port 0 --env '${join(etc, 'taskcluster.env')}'`);
    await standIn.printed(/^export TASKCLUSTER_ACCESS_TOKEN=.*$/m);
    const printed = [...standIn.output().matchAll(/^export (\w+)=(.*)$/gm)];
    taskcluster = Object.fromEntries(printed.map(([, name = '', value = '']) => [name, value]));
    path = `${await folderWithNpx()}${delimiter}${await pathWithCommandsOf(broker)}`;
  });

  const shell = (text: string, place = 'docs/install.md') =>
    runShell({ place, heading: '', language: 'sh', text: `${WITHOUT_TESTS}${text}` }, { env: { PATH: path } });
  const start = async (text: string): Promise<ShellSession> => {
    const session = openShell(`${WITHOUT_TESTS}${text}`, { env: { PATH: path } });
    await session.printed('agent_started');
    return session;
  };

  it('starts an agent that passes verify, then a second agent, then changes a password', async () => {
    const known = document.take('export BROKER=', {
      'rabbit.example.com:5672': `127.0.0.1:${broker.amqpPort}`,
      'http://rabbit.example.com:15672': broker.managementUrl,
      'mongodb://pulse-agent:password@mongo1.example.com,mongo2.example.com,mongo3.example.com/pulse-agent?replicaSet=rs0':
        mongoDatabase(mongodb()),
      'https://tc.example.com': taskcluster['TASKCLUSTER_ROOT_URL'] ?? '',
      'project/pulse/agent': taskcluster['TASKCLUSTER_CLIENT_ID'] ?? '',
      'its-access-token': taskcluster['TASKCLUSTER_ACCESS_TOKEN'] ?? '',
    });
    const [port = 0, otherPort = 0] = await freePorts(2);
    const rabbitmq = document.take('rabbitmqctl add_vhost');
    document.leave('npm ci\n', 'npm ci would delete the packages that this test uses');
    const settings = document.take('agent.env <<EOF', {
      '/etc/pulse-agent': etc,
      // The server of tests is no replica set, and in production that is a failure.
      'NODE_ENV=production': 'NODE_ENV=staging',
      'HTTP_PORT=8080': `HTTP_PORT=${port}`,
    });
    await shell([known, rabbitmq, settings].map(({ text }) => text).join('\n'));
    const agent = await start(document.take('npx pulse-agent serve', { '/etc/pulse-agent': etc }).text);
    const { stdout } = await shell(document.take('npx pulse-agent verify\n', { '/etc/pulse-agent': etc }).text);
    assert.match(stdout, /^ok +deletion of the namespace:/m);
    // The stand-in has all that the steps of Taskcluster need.
    for (const step of ['Taskcluster auth service', 'clocks', 'scope to send mail']) {
      assert.match(stdout, new RegExp(`^ok +${step}:`, 'm'));
    }
    assert.match(stdout, /The installation works/);
    assert.ok(!stdout.includes(taskcluster['TASKCLUSTER_ACCESS_TOKEN'] ?? ''));
    const ready = await shell(document.take('/readyz', { 'localhost:8080': `localhost:${port}` }).text);
    assert.equal(JSON.parse(ready.stdout).ready, true);
    const commands = await shell(document.take('npx pulse-agent config check', { '/etc/pulse-agent': etc }).text);
    assert.match(commands.stdout, /first with amqp:\/\/pulse-agent-claimant:…@127\.0\.0\.1:\d+\/pulse-agent, and/);
    assert.match(commands.stdout, /^There are no namespaces to show\.$/m);

    // With another agent while the first is stopped, and with a new password of the broker.
    const changing = blocksOf('docs/recover.md').find(({ text }) => text.includes('change_password'));
    await shell((changing?.text ?? '').replaceAll('/etc/pulse-agent', etc), changing?.place);
    const again = `set -a; . ${etc}/agent.env; set +a\nexec npx pulse-agent`;
    const second = await start(`set -a; . ${etc}/agent.env; set +a\nHTTP_PORT=${otherPort} exec npx pulse-agent serve`);
    await agent.interrupt('SIGTERM');
    assert.match((await shell(`${again} verify`)).stdout, /The installation works/);
    await second.interrupt('SIGTERM');
  });

  it('has a service unit whose program exists', () => {
    const { text } = document.take('[Service]');
    const [, command = ''] = /^ExecStart=\S+ (.*)$/m.exec(text) ?? [];
    const { scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as { scripts: Record<string, string> };
    assert.equal(`exec node ${command}`, scripts['start']);
    document.leave('useradd --system', 'it needs systemd, and adds a user to the machine');
  });

  it('sets every variable that docker-compose.yml requires', async () => {
    const folder = makeFolder('compose');
    mkdirSync(join(folder, 'config/compose'), { recursive: true });
    writeFileSync(join(folder, 'config/compose/agent.yml'), readFileSync('config/compose/agent.yml'));
    await runShell(document.take('AGENT_CONFIG=./agent.yml'), { cwd: folder });
    const made = new Set(
      readFileSync(join(folder, '.env'), 'utf8')
        .split('\n')
        .map((line) => line.split('=')[0]),
    );
    const compose = readFileSync('docker-compose.yml', 'utf8');
    for (const [, name] of compose.matchAll(/\$\{(\w+):\?/g)) assert.ok(made.has(name), name);
    assert.match(readFileSync(join(folder, 'agent.yml'), 'utf8'), /^audience: pulse\.example\.com$/m);
    assert.match(document.leave('docker compose up', 'it needs Docker').text, /verify/);
  });
});
