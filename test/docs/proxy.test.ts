import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { parse } from 'yaml';
import { findExecutable } from '../../dev/processes.ts';
import { clientEnvironment, teamNamespace, useInstallation } from '../support/agent.ts';
import { openConnection } from '../support/broker.ts';
import { builtProgram } from '../support/built-agent.ts';
import { type CommandRun, runCommandLine } from '../support/command-line.ts';
import { makeFolder } from '../support/folders.ts';
import { folderWithNpx } from '../support/npx.ts';
import { openShell } from '../support/shell-session.ts';
import { skipBecause } from '../support/skip.ts';
import { type Block, runShell, useBlocks } from './blocks.ts';

const run = promisify(execFile);

describe('docs/proxy.md', function () {
  this.timeout(120_000);
  const document = useBlocks('docs/proxy.md');
  const installation = useInstallation();
  /** In place of the document's. */
  const namespace = teamNamespace();
  const free = '--listen 127.0.0.1:0';
  const withNamespace = { '--namespace taskcluster-builds': `--namespace ${namespace} ${free}` };
  let unit: Block;

  before('read the unit', () => {
    unit = document.take('[Service]');
  });

  /** The document's variables of a client, with the values of this installation. */
  function valuesHere(): Record<string, string> {
    const { PULSE_AGENT_URL = '', TASKCLUSTER_CLIENT_ID = '', TASKCLUSTER_ACCESS_TOKEN = '' } = environment();
    return {
      'amqps://pulse-agent-claimant:password@pulse.example.com/pulse-agent': PULSE_AGENT_URL,
      'project/builds/consumer': TASKCLUSTER_CLIENT_ID,
      'its-access-token': TASKCLUSTER_ACCESS_TOKEN,
    };
  }

  const environment = (): Record<string, string> => clientEnvironment(installation());

  /** What a default id and audience make unnecessary. */
  function unusual(): Record<string, string> {
    const { PULSE_AGENT_ID = '', PULSE_AGENT_AUDIENCE = '' } = environment();
    return { PULSE_AGENT_ID, PULSE_AGENT_AUDIENCE };
  }

  function urlIn(output: string): string {
    const [, url = ''] = /listening on (\S+) for/.exec(output) ?? [];
    return url;
  }

  async function assertServes(started: CommandRun): Promise<void> {
    await started.printed('listening on');
    await (await openConnection(urlIn(started.stdout()))).close();
    started.signal('SIGTERM');
    assert.equal(await started.exited, 0, started.stderr());
  }

  it('starts the proxy, to which any client connects, and runs a program', async () => {
    const env = { ...unusual(), PATH: `${await folderWithNpx()}:${process.env['PATH']}` };
    const start = document.take('--contact builds@example.com', { ...valuesHere(), ...withNamespace });
    const proxy = openShell(start.text, { env });
    await proxy.printed('listening on');
    const printed = document.take('listening on', {
      'amqp://127.0.0.1:5673/pulse for taskcluster-builds': `${urlIn(proxy.output())} for ${namespace}`,
    });
    assert.ok(proxy.output().includes(printed.text.trim()), proxy.output());

    const url = urlIn(proxy.output()).replace('//', '//guest:any@');
    const client = document.take("from 'amqplib'", {
      'amqp://guest:any@127.0.0.1:5673/pulse': url,
      'taskcluster-builds': namespace,
    });
    await run(process.execPath, ['--input-type=module', '-e', client.text], { cwd: resolve('.') });
    await proxy.interrupt();

    const program = document.take('echo "$AMQP_URL"', withNamespace);
    const { stdout } = await runShell(program, { env: { ...environment(), ...env } });
    assert.match(stdout, /^amqp:\/\/pulse:pulse@127\.0\.0\.1:\d+\/.*\n$/);
  });

  it('has a unit of systemd, whose command runs with its variables', async () => {
    const variables = document.take('PULSE_AGENT_URL=amqps', valuesHere());
    const pairs = variables.text
      .trim()
      .split('\n')
      .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)] as const);
    const [, command = ''] =
      /^ExecStart=\/usr\/bin\/node \/opt\/pulse-agent\/dist\/cli\/main\.js (.*)$/m.exec(unit.text) ?? [];
    const args = command.replace('taskcluster-builds', `${namespace} ${free}`).split(' ');
    await assertServes(await runCommandLine(args, { ...Object.fromEntries(pairs), ...unusual() }));
  });

  it('has a unit in which systemd finds no fault', async function () {
    const analyze = findExecutable('systemd-analyze');
    if (analyze === undefined) skipBecause(this, 'this machine has no systemd-analyze');
    const file = join(makeFolder('unit'), 'pulse-agent-proxy.service');
    writeFileSync(file, unit.text.replace('/usr/bin/node', process.execPath));
    const { stdout, stderr } = await run(analyze, ['verify', '--man=no', file]);
    assert.deepEqual(
      `${stdout}${stderr}`.split('\n').filter((line) => line.includes('pulse-agent-proxy')),
      [],
    );
  });

  it('has a side-car whose arguments the image of the agent runs', async () => {
    const { text } = document.take('envFrom:', { 'taskcluster-builds': namespace });
    const { containers } = parse(text) as { containers: { name: string; image: string; args?: string[] }[] };
    const { args = [], image } = containers.find(({ name }) => name === 'pulse') ?? {};
    assert.equal(image, 'pulse-agent');
    const dockerfile = readFileSync('Dockerfile', 'utf8');
    const [, entrypoint = ''] = /^ENTRYPOINT (.*)$/m.exec(dockerfile) ?? [];
    const [node, ...options] = JSON.parse(entrypoint) as string[];
    assert.equal(node, 'node');
    const program = await builtProgram();
    const variables = [...dockerfile.matchAll(/^ENV (\w+)=(\S+)$/gm)].map(([, name, value]) => [name, value] as const);
    const sideCar = openShell(
      ['exec', process.execPath, ...options.slice(0, -1), program, ...args, ...free.split(' ')]
        .map((word) => `'${word}'`)
        .join(' '),
      { env: { ...Object.fromEntries(variables), ...environment() } },
    );
    await sideCar.printed('listening on');
  });
});
