import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { copyFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { clientEnvironment, TEAM, useInstallation } from '../support/agent.ts';
import { cutConnections, openConnection } from '../support/broker.ts';
import { builtProgram } from '../support/built-agent.ts';
import { makeFolder } from '../support/folders.ts';
import { INSTALL_MS, type InstalledClient, installClient } from '../support/installed-client.ts';
import { openShell } from '../support/shell-session.ts';
import { skipBecause } from '../support/skip.ts';
import { waitUntil } from '../support/watched-installation.ts';
import { type Block, runShell, useBlocks } from './blocks.ts';
import { readDocument, rowsByName, section } from './documents.ts';

const run = promisify(execFile);

const LIB_PULSE = 'taskcluster-lib-pulse@2.0.2';
const ROTATIONS = 5;

/** The namespace of the document's service. */
const NAMESPACE = 'taskcluster-team-docs';

describe('docs/client.md, with the package as it is installed', function () {
  this.timeout(120_000);
  const document = useBlocks('docs/client.md');
  const installation = useInstallation({ settings: { rotationIntervalSeconds: 3 } });
  let client: InstalledClient;
  let service: Block;

  before('make the package and install it', async function () {
    this.timeout(INSTALL_MS + 60_000);
    const packages = makeFolder('packages');
    const { stdout } = await runShell(
      document.take('npm run pack:client', { 'pack:client': `pack:client -- ${packages}` }),
    );
    const tarball = stdout.trimEnd().split('\n').at(-1) ?? '';
    const { text } = document.take('npm install', { 'path/to/pulse-agent-client-0.1.0.tgz': tarball });
    const [, , ...wanted] = text.trim().split(' ');
    try {
      client = await installClient(tarball, [...wanted.slice(1), LIB_PULSE]);
    } catch (error) {
      const { stderr = '' } = error as { stderr?: string };
      if (/ENOTFOUND|ECONNREFUSED|ETIMEDOUT|EAI_AGAIN|ENOTCACHED/.test(stderr)) {
        skipBecause(this, 'no package registry can be reached');
      }
      throw error;
    }
    service = document.take('await client.lease(');
  });

  const environment = (): Record<string, string> => clientEnvironment(installation());

  /** The beginning of the service: imports, the client, and the lease. */
  function beginning({ lease }: { readonly lease: boolean }): string {
    const end = service.text.indexOf(lease ? 'const connection =' : 'const lease =');
    assert.ok(end > 0);
    return service.text.slice(0, end);
  }

  async function runScript(name: string, text: string, more: Readonly<Record<string, string>> = {}): Promise<string> {
    const { stdout } = await run(process.execPath, [client.write(name, text)], {
      env: { ...process.env, ...environment(), ...more },
    });
    return stdout;
  }

  /** Closes the connections of the service. */
  async function cutAccounts(): Promise<void> {
    const { broker, config } = installation();
    for (const slot of [1, 2]) await cutConnections(broker, `${config.usernamePrefix}${NAMESPACE}-${slot}`);
  }

  it('brings only what a client needs', () => {
    const { folder } = client;
    const dependencies = readdirSync(join(folder, 'node_modules/pulse-agent-client/dist'));
    assert.deepEqual(dependencies.toSorted(), ['client', 'contract']);
    const installed = readdirSync(join(folder, 'node_modules'));
    for (const name of ['amqplib', 'hawk', 'zod']) assert.ok(installed.includes(name), name);
    for (const name of ['mongodb', 'agenda', 'axios', 'rascal', 'lmdb', 'pino', 'commander']) {
      assert.ok(!installed.includes(name), name);
    }
  });

  it('has a row for each class of errors that the package has, and no other', async () => {
    const script = `import * as all from 'pulse-agent-client';
      const { PulseAgentError } = all;
      console.log(JSON.stringify(Object.entries(all).filter(([, it]) => it.prototype instanceof PulseAgentError).map(([name]) => name)));`;
    const rows = [...rowsByName(section(readDocument('client.md'), '## Errors')).keys()];
    assert.deepEqual(rows.toSorted(), (JSON.parse(await runScript('errors.mjs', script)) as string[]).toSorted());
  });

  it('a service claims, connects, renews, works on when its connection is lost, and stops in order', async () => {
    const file = client.write('service.mjs', service.text);
    const running = openShell(`exec ${process.execPath} ${file}`, { env: environment() });
    await running.printed('received hello');
    await running.printed('renewed true');
    await cutAccounts();
    const rpc = await installation().rpc(TEAM);
    const claim = await rpc.request('claim-namespace', { namespace: NAMESPACE });
    await running.printed('Closed via management plugin');
    const channel = await (await openConnection(claim.connectionString)).createChannel();
    channel.publish('exchange/taskcluster-team-docs/greetings', 'greeting.again', Buffer.from('once more'));
    await running.printed('received once more');
    assert.equal(await running.interrupt('SIGTERM'), 0, running.output());
  });

  it('a bundle of the service claims, connects and stops, without the packages', async () => {
    client.write('service.mjs', service.text);
    const { text } = document.take('npx esbuild', { 'npx esbuild': resolve('node_modules/.bin/esbuild') });
    await run('sh', ['-ec', text], { cwd: client.folder });
    const alone = join(makeFolder('bundle'), 'service.mjs');
    copyFileSync(join(client.folder, 'service-bundle.mjs'), alone);
    const running = openShell(`exec ${process.execPath} ${alone}`, { env: environment() });
    await running.printed('connected');
    assert.equal(await running.interrupt('SIGTERM'), 0, running.output());
  });

  it('single calls, an existing connection, and errors', async () => {
    const errors = document.take('InsufficientScopes', { 'taskcluster-of-somebody-else': 'taskcluster-other' });
    const imports = "import { InsufficientScopes, PulseAgentError } from 'pulse-agent-client';\n";
    const blocks = [document.take('client.ping()'), document.take('connection: mine'), errors];
    const text = `${beginning({ lease: false })}${imports}${blocks.map((block) => block.text).join('')}await client.close(); await mine.close();`;
    const stdout = await runScript('calls.mjs', text);
    const [listed, ...lines] = stdout.slice(stdout.indexOf('taskcluster-team-docs\n')).split('\n');
    assert.equal(listed, 'taskcluster-team-docs');
    assert.match(lines[0] ?? '', RegExp(`^${TEAM} (0|unknown)$`));
    assert.match(lines[1] ?? '', /^\[ 'queue\/taskcluster-team-docs\/greetings: 0' \] 20\S+Z$/);
    assert.match(lines.slice(2).join('\n'), /^0\.\d+\.\d+\nneeded: pulse:namespace:taskcluster-other\n$/);
  });

  describe('a program that cannot be changed', () => {
    const program = async (): Promise<string> => `${process.execPath} ${await builtProgram()}`;

    it('gets a signal after each change of the file', async () => {
      const block = document.take('-- ./consumer', { 'npx pulse-agent': await program() });
      const folder = makeFolder('consumer');
      const consumer = `#!/bin/sh
trap 'test "$(cat amqp-url)" != "$first" && grep -c ^amqp: "$PULSE_CONNECTION_FILE" && exit 0' HUP
first=$(cat amqp-url)
while :; do sleep 0.1; done
`;
      writeFileSync(join(folder, 'consumer'), consumer, { mode: 0o700 });
      assert.equal((await runShell(block, { env: environment(), cwd: folder })).stdout, '1\n');
      assert.deepEqual(readdirSync(folder), ['consumer']);
    });

    it('that something else has started is notified by a command', async () => {
      const { text } = document.take('--on-change', { 'npx pulse-agent': await program() });
      const folder = makeFolder('consumer');
      const onSignal = '. ./amqp.env; echo "read ${PULSE_CONNECTION_STRINGS%%:*}"';
      const consumer = openShell(
        `trap '${onSignal}' HUP; echo $$ > consumer.pid; echo up; while :; do sleep 0.1; done`,
        { cwd: folder },
      );
      await consumer.printed('up');
      const running = openShell(`exec ${text}`, { env: environment(), cwd: folder });
      await consumer.printed('read amqp');
      await running.printed('ran the command');
      assert.equal(await running.interrupt('SIGTERM'), 0, running.output());
      assert.deepEqual(readdirSync(folder), ['consumer.pid']);
    });
  });

  it('compiles as TypeScript, strictly', async () => {
    client.write('service.ts', service.text);
    client.write(
      'tsconfig.json',
      JSON.stringify({
        compilerOptions: {
          target: 'es2023',
          module: 'nodenext',
          strict: true,
          exactOptionalPropertyTypes: true,
          noEmit: true,
          types: ['node'],
          typeRoots: [resolve('node_modules/@types')],
        },
        files: ['service.ts'],
      }),
    );
    const compiler = resolve('node_modules/typescript/bin/tsc');
    const { stdout } = await run(process.execPath, [compiler, '-p', client.folder]).catch(
      (error: { stdout: string }) => error,
    );
    assert.equal(stdout, '');
  });

  describe(LIB_PULSE, () => {
    let script: string;
    before(() => {
      const { text } = document.take('taskcluster-lib-pulse', {
        'monitor,': 'monitor: { reportError: console.error }, minReconnectionInterval: 200, retirementDelay: 1500,',
      });
      const numbers = pathToFileURL(resolve('test/support/lib-pulse-numbers.js')).href;
      script = `import { passNumbers } from '${numbers}';
${beginning({ lease: true })}
${text}
pulseClient.once('connected', () => console.log('lib-pulse is connected'));
console.log(JSON.stringify(await passNumbers(pulse, pulseClient, lease, Number(process.env.ROTATIONS))));
process.exit(0);`;
    });

    it(`loses no message in ${ROTATIONS} rotations, publisher and consumer`, async () => {
      const stdout = await runScript('lib-pulse.mjs', script, { ROTATIONS: String(ROTATIONS) });
      const outcome = JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '') as Record<string, unknown>;
      assert.deepEqual(outcome['lost'], [], JSON.stringify(outcome));
      assert.ok(Number(outcome['sent']) > 100, JSON.stringify(outcome));
      assert.ok(Number(outcome['connections']) >= ROTATIONS && outcome['users'] === 2, JSON.stringify(outcome));
    });

    it('ends the process when it loses its connection, as the document says', async () => {
      const file = client.write('lib-pulse-cut.mjs', script);
      const running = openShell(`${process.execPath} ${file} || echo "ended with $?"`, {
        env: { ...environment(), ROTATIONS: '1000' },
      });
      await running.printed('lib-pulse is connected');
      // RabbitMQ lists a connection some ms after it is open: a cut may come too early.
      await waitUntil(async () => {
        await cutAccounts();
        return running.output().includes('ended with 1');
      }, 'the process ends when its connection is cut');
      assert.match(running.output(), /node_modules\/taskcluster-lib-pulse\//);
    });
  });
});
