import assert from 'node:assert/strict';
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { makeFolder } from '../support/folders.ts';

describe('bootstrap', () => {
  it('runs a TypeScript file with its arguments and exits with its exit code', async () => {
    const { child, output } = await bootstrap('console.log(process.argv.slice(2).join(" ")); process.exit(7);', [
      'a',
      '--b',
    ]);
    const [code] = await once(child, 'close');
    assert.equal(output(), 'a --b\n');
    assert.equal(code, 7);
  });

  it('keeps temporary files in the working copy', async () => {
    const { child, output } = await bootstrap('console.log((await import("node:os")).tmpdir());');
    await once(child, 'close');
    assert.equal(output(), `${join(process.cwd(), '.cache/tmp')}\n`);
  });

  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    it(`forwards ${signal} and waits for the exit`, async () => {
      const { child, output } = await bootstrap(`
        const timer = setInterval(() => undefined, 1000);
        const mayEnd = new Promise((resolve) => process.stdin.resume().once('end', resolve));
        process.on('${signal}', () => mayEnd.then(() => { console.log('done'); clearInterval(timer); }));
        console.log('up');
      `);
      await once(child.stdout, 'data');
      child.kill(signal);
      child.stdin.end();
      const [code] = await once(child, 'close');
      assert.equal(output(), 'up\ndone\n');
      assert.equal(code, 0);
    });
  }

  it('dies of the signal that the file died of', async () => {
    const { child } = await bootstrap('console.log("up"); setInterval(() => undefined, 1000);');
    await once(child.stdout, 'data');
    child.kill('SIGTERM');
    assert.deepEqual(await once(child, 'close'), [null, 'SIGTERM']);
  });

  it('prints its usage when called without a file', async () => {
    const child = spawn(process.execPath, ['dev/bootstrap.js'], { stdio: ['ignore', 'ignore', 'pipe'] });
    const [text] = await once(child.stderr, 'data');
    assert.match(String(text), /^Say which file to run: .*\n$/);
    assert.deepEqual(await once(child, 'exit'), [1, null]);
  });
});

async function bootstrap(
  program: string,
  args: readonly string[] = [],
): Promise<{ child: ChildProcessByStdio<Writable, Readable, null>; output: () => string }> {
  const file = join(makeFolder('bootstrap'), 'program.mts');
  writeFileSync(file, program);
  const child = spawn(process.execPath, ['dev/bootstrap.js', file, ...args], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  await once(child, 'spawn');
  return { child, output: () => output };
}
