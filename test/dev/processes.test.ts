import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, openSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { findExecutable, freePorts, portIsFree, spawnTied } from '../../dev/processes.ts';
import { builtFile } from '../support/built-agent.ts';
import { makeFolder } from '../support/folders.ts';
import { skipBecause } from '../support/skip.ts';

describe('tied processes', () => {
  it('exit on SIGTERM', async () => {
    const sleeper = await spawnTied('sleep', ['600'], { env: process.env, outputFd: 2 });
    assert.equal(sleeper.running(), true);
    await sleeper.stop(10_000);
    assert.deepEqual(await sleeper.exited, { code: null, signal: 'SIGTERM' });
    assert.equal(sleeper.running(), false);
  });

  it('are killed with their descendants when they ignore SIGTERM', async () => {
    const output = join(makeFolder('tied'), 'output');
    const script = 'trap "" TERM; sleep 600 & echo $!; wait; wait';
    const stubborn = await spawnTied('sh', ['-c', script], { env: process.env, outputFd: openSync(output, 'w') });
    const grandchild = await untilText(output);
    await stubborn.stop(100);
    assert.deepEqual(await stubborn.exited, { code: null, signal: 'SIGKILL' });
    assert.equal(runs(grandchild), false);
  });

  it('are refused when the program does not exist', async () => {
    for (const command of ['/absent/program', 'absent-program']) {
      await assert.rejects(spawnTied(command, [], { env: process.env, outputFd: 2 }), /There is no program/);
    }
  });

  for (const signal of ['SIGTERM', 'SIGINT', 'SIGKILL'] as const) {
    it(`die with a parent that gets ${signal}`, async function () {
      if (findExecutable('setpriv') === undefined) skipBecause(this, 'this machine has no setpriv');
      const folder = makeFolder('tied');
      const output = join(folder, 'pid');
      const parent = spawn(process.execPath, ['--input-type=module', '-e', await program(output)], {
        stdio: 'inherit',
      });
      const child = await untilText(output);
      parent.kill(signal);
      await once(parent, 'exit');
      while (runs(child)) await delay(10);
    });
  }
});

describe('free ports', () => {
  it('are different, below the ephemeral range, and free', async () => {
    const ports = await freePorts(50);
    assert.equal(new Set(ports).size, 50);
    assert.ok(ports.every((port) => port >= 10_000 && port < 32_768));
    assert.deepEqual(await Promise.all(ports.map((port) => portIsFree(port))), Array(50).fill(true));
  });

  it('do not include one that is in use', async () => {
    const [taken = 0] = await freePorts(1);
    const server = createServer().listen(taken, '127.0.0.1');
    await once(server, 'listening');
    const draws = [(taken - 10_000) / 22_000, 0.5];
    const [port] = await freePorts(1, () => draws.shift() ?? Math.random());
    server.close();
    assert.notEqual(port, taken);
  });
});

/** A program that starts a tied process, writes its pid to `output`, and then runs forever. */
async function program(output: string): Promise<string> {
  const module = pathToFileURL(await builtFile('dev/processes.js')).href;
  return `
    import { writeFileSync } from 'node:fs';
    import { spawnTied } from ${JSON.stringify(module)};
    const tied = await spawnTied('sleep', ['600'], { env: process.env, outputFd: 2 });
    writeFileSync(${JSON.stringify(output)}, tied.pid + '\\n');
    setInterval(() => undefined, 1000);
  `;
}

async function untilText(file: string): Promise<number> {
  for (;;) {
    const text = existsSync(file) ? readFileSync(file, 'utf8') : '';
    if (text.endsWith('\n')) return Number(text);
    await delay(10);
  }
}

/** Whether the process runs; a zombie does not. */
function runs(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}
