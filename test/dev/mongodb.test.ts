import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { NoMongoDB, startMongoDB } from '../../dev/mongodb.ts';
import { portIsFree } from '../../dev/processes.ts';
import { addCleanup } from '../support/cleanup.ts';
import { makeFolder } from '../support/folders.ts';
import { MONGODB_START_MS, useSharedMongoDB } from '../support/mongodb.ts';
import { skipBecause } from '../support/skip.ts';

/** Sets variables of the environment until the test ends. */
function withEnvironment(variables: Record<string, string | undefined>): void {
  for (const [name, value] of Object.entries(variables)) {
    const before = process.env[name];
    addCleanup(() => setVariable(name, before));
    setVariable(name, value);
  }
}

function setVariable(name: string, value: string | undefined): void {
  if (value === undefined) delete process.env[name];
  else process.env[name] = value;
}

describe('a MongoDB server for tests', () => {
  it('is the one of MONGODB_URL, and is not stopped', async () => {
    withEnvironment({ MONGODB_URL: 'mongodb://given.example/' });
    const server = await startMongoDB({ folder: makeFolder('mongodb') });
    assert.deepStrictEqual([server.kind, server.url], ['given', 'mongodb://given.example/']);
    await server.stop();
    await server.kill();
  });

  it('cannot be had: one sentence names every way that was tried', async () => {
    withEnvironment({
      MONGODB_URL: undefined,
      MONGOMS_SYSTEM_BINARY: '/nowhere/mongod',
      MONGOMS_RUNTIME_DOWNLOAD: 'false',
      PATH: '',
    });
    const folder = makeFolder('mongodb');
    await assert.rejects(startMongoDB({ folder, cacheFolder: folder }), (error) => {
      assert.ok(error instanceof NoMongoDB);
      assert.equal(error.tried.length, 4);
      assert.match(error.message, /MONGODB_URL is not set; .*\/nowhere\/mongod.*disabled; .*no go on this machine/);
      return true;
    });
  });

  describe('started by this process', () => {
    const mongodb = useSharedMongoDB();

    it('dies with that process, even when that is killed', async function () {
      this.timeout(MONGODB_START_MS);
      if (mongodb().kind === 'given') skipBecause(this, 'MONGODB_URL is set: no server is started');
      const child = spawn(process.execPath, ['--import=tsx', 'test/dev/mongodb-process.ts', makeFolder('mongodb')], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      addCleanup(() => void child.kill('SIGKILL'));
      const [url] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
      const port = Number(new URL(url).port);
      assert.equal(await portIsFree(port), false);
      child.kill('SIGKILL');
      while (!(await portIsFree(port))) await delay(20);
    });

    it('can be stopped and killed', async function () {
      this.timeout(MONGODB_START_MS);
      if (mongodb().kind === 'given') skipBecause(this, 'MONGODB_URL is set: no server is started');
      for (const end of ['stop', 'kill'] as const) {
        const server = await startMongoDB({ folder: makeFolder('mongodb') });
        addCleanup(() => server.kill());
        await server[end]();
        assert.equal(await portIsFree(Number(new URL(server.url).port)), true);
      }
    });
  });
});
