import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { startRabbitMQ } from '../../dev/rabbitmq.ts';
import { decideInstallSteps } from '../../dev/debian-program.ts';
import { ensureRabbitMQ, type RabbitMQInstallation } from '../../dev/rabbitmq-install.ts';
import { isAgentError } from '../../src/util/agent-errors.ts';
import { runnableBlocksOf } from '../docs/blocks.ts';
import { BROKER_START_MS } from '../support/broker.ts';
import { addCleanup } from '../support/cleanup.ts';
import { makeFolder } from '../support/folders.ts';

const bare = { system: false, unpacked: false, root: false, apt: false };

describe('how to get RabbitMQ', () => {
  it('uses the installed one first', () => {
    assert.deepEqual(decideInstallSteps({ system: true, unpacked: true, root: true, apt: true }), ['use-system']);
  });

  it('uses an unpacked one before it installs, even as root', () => {
    assert.deepEqual(decideInstallSteps({ ...bare, unpacked: true, root: true, apt: true }), ['use-unpacked']);
  });

  it('installs as root, and unpacks where the installation fails', () => {
    assert.deepEqual(decideInstallSteps({ ...bare, root: true, apt: true }), ['apt-install', 'apt-unpack']);
  });

  it('unpacks as an unprivileged user', () => {
    assert.deepEqual(decideInstallSteps({ ...bare, apt: true }), ['apt-unpack']);
  });

  it('knows no way without apt', () => {
    assert.deepEqual(decideInstallSteps(bare), []);
    assert.deepEqual(decideInstallSteps({ ...bare, root: true }), []);
  });
});

describe('the script that RABBITMQ_SERVER names', () => {
  const cacheFolder = '.cache/rabbitmq';
  const before = process.env['RABBITMQ_SERVER'];
  const nameScript = (file: string | undefined): void => {
    if (file === undefined) delete process.env['RABBITMQ_SERVER'];
    else process.env['RABBITMQ_SERVER'] = file;
  };
  afterEach(() => nameScript(before));

  it('runs every program of the broker', async function () {
    this.timeout(BROKER_START_MS);
    const folder = makeFolder('named');
    const script = join(folder, 'server.sh');
    writeFileSync(script, scriptOf(folder, await ensureRabbitMQ({ cacheFolder })), { mode: 0o755 });
    nameScript(relative('.', script));
    const broker = await startRabbitMQ({ folder: join(folder, 'broker') });
    addCleanup(() => broker.kill());
    assert.match(await broker.rabbitmqctl(['list_users']), new RegExp(broker.user));
    assert.match(await broker.rabbitmqPlugins(['list', '--enabled']), /rabbitmq_event_exchange/);
    assert.deepEqual(readFileSync(join(folder, 'programs'), 'utf8').trim().split('\n'), [
      'epmd',
      'rabbitmq-server',
      'rabbitmqctl',
      'rabbitmq-plugins',
    ]);
  });

  it('is refused when it cannot be executed', async () => {
    const file = join(makeFolder('named'), 'server.sh');
    nameScript(file);
    for (const make of [() => undefined, () => writeFileSync(file, '#!/bin/sh', { mode: 0o644 })]) {
      make();
      await assert.rejects(ensureRabbitMQ({ cacheFolder }), (error: Error) => {
        assert.ok(isAgentError(error, 'BrokerUnavailable'));
        return error.message.includes(`RABBITMQ_SERVER names ${file}, which is no executable file.`);
      });
    }
  });
});

/** The script of CONTRIBUTING.md for this installation, which also records what it runs. */
function scriptOf(folder: string, installation: RabbitMQInstallation): string {
  const block = runnableBlocksOf('CONTRIBUTING.md').find(({ text }) => text.includes('exec "$@"'));
  assert.ok(block !== undefined);
  const needed = Object.entries(installation.environment).filter(
    ([name]) => !/^(?:PATH|RABBITMQ_SCRIPTS_DIR)$/.test(name),
  );
  const more = [...needed.map(([name, value]) => `export ${name}='${value}'`), `echo "$1" >> '${folder}/programs'`];
  return block.text
    .replaceAll(/^ +/gm, '')
    .replace('\n', `\n${more.join('\n')}\n`)
    .replace('/opt/rabbitmq/sbin', dirname(installation.command('rabbitmqctl')[0]))
    .replace('/opt/erlang/bin', dirname(installation.command('epmd')[0]));
}
