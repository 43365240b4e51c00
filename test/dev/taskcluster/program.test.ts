import assert from 'node:assert/strict';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { networkInterfaces } from 'node:os';
import { connect } from 'node:net';
import { makeFolder } from '../../support/folders.ts';
import { openShell, type ShellSession } from '../../support/shell-session.ts';

/** Runs it as the documents say, with an environment file of the test's own. */
function startStandIn(file: string, args = '--port 0'): ShellSession {
  return openShell(`exec npm run --silent taskcluster -- --env '${file}' ${args}`);
}

function environmentIn(text: string): Record<string, string> {
  return Object.fromEntries(
    [...text.matchAll(/^export (\w+)=(.*)$/gm)].map(([, name = '', value = '']) => [name, value]),
  );
}

async function accepts(host: string, port: number): Promise<boolean> {
  return await new Promise((resolve) => {
    const socket = connect({ host, port });
    const end = (result: boolean): void => {
      socket.destroy();
      resolve(result);
    };
    socket.once('connect', () => end(true));
    socket.once('error', () => end(false));
  });
}

describe('npm run taskcluster', function () {
  this.timeout(120_000);

  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    it(`serves on loopback alone with the environment that it prints, and stops in order at ${signal}`, async () => {
      const file = join(makeFolder('stand-in'), 'taskcluster.env');
      const standIn = startStandIn(file);
      await standIn.printed(/^export TASKCLUSTER_ACCESS_TOKEN=.*$/m);
      const printed = environmentIn(standIn.output());
      assert.deepEqual(Object.keys(printed), [
        'TASKCLUSTER_ROOT_URL',
        'TASKCLUSTER_CLIENT_ID',
        'TASKCLUSTER_ACCESS_TOKEN',
      ]);
      assert.deepEqual(environmentIn(readFileSync(file, 'utf8')), printed);
      assert.equal(statSync(file).mode & 0o777, 0o600);
      const { hostname, port } = new URL(printed['TASKCLUSTER_ROOT_URL'] ?? '');
      assert.equal(hostname, '127.0.0.1');
      const answer = await fetch(`${printed['TASKCLUSTER_ROOT_URL']}/api/auth/v1/ping`);
      assert.equal(answer.status, 200);
      const others = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
      for (const { address, internal, family } of others) {
        if (!internal && family === 'IPv4') assert.equal(await accepts(address, Number(port)), false, address);
      }
      assert.equal(await standIn.interrupt(signal), 0, standIn.output());
      assert.match(standIn.output(), /^The stand-in has stopped\.$/m);
      assert.equal(await accepts('127.0.0.1', Number(port)), false);
      assert.ok(!existsSync(file), 'no file is left');
    });
  }

  it('says in one sentence that the port is in use, and what is wrong with an argument', async () => {
    const folder = makeFolder('stand-in');
    const first = startStandIn(join(folder, 'first.env'));
    await first.printed(/^export TASKCLUSTER_ROOT_URL=.*$/m);
    const { port } = new URL(environmentIn(first.output())['TASKCLUSTER_ROOT_URL'] ?? '');
    for (const [args, code, sentence] of [
      [`--port ${port}`, 1, `Port ${port} is in use: give another one with --port, or 0 for any free one.`],
      ['--port many', 2, '--port takes 0 to 65535, not many. See npm run taskcluster -- --help.'],
      ['--help', 0, 'npm run taskcluster -- [options]'],
    ] as const) {
      const run = startStandIn(join(folder, 'second.env'), args);
      await run.printed(sentence);
      assert.equal(await run.interrupt('SIGCONT'), code, args);
    }
    assert.equal(await first.interrupt(), 0);
  });
});
