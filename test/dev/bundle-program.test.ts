import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { builtProgram } from '../support/built-agent.ts';
import { runCommandLine } from '../support/command-line.ts';

/** Packages that are not in it: the first has a native part, the second is looked up when it is needed. */
const OUTSIDE = new Set(['lmdb', 're2js']);

describe('the bundled program', function () {
  this.timeout(60_000);
  const { version, dependencies } = JSON.parse(readFileSync('package.json', 'utf8')) as {
    readonly version: string;
    readonly dependencies: Readonly<Record<string, string>>;
  };

  it('finds what it reads of its package', async () => {
    const run = await runCommandLine(['--version'], {});
    assert.equal(await run.ended, 0);
    assert.equal(run.stdout().trim(), version);
  });

  it('comes with the licences of all packages that are in it', async () => {
    const licences = readFileSync(join(await builtProgram(), '../licences.txt'), 'utf8');
    for (const [name, number] of Object.entries(dependencies)) {
      const entry = licences.indexOf(`\n${name} ${number} (`);
      assert.equal(entry >= 0, !OUTSIDE.has(name), name);
      if (entry >= 0) assert.match(licences.slice(entry, entry + 600), /copyright|licen[cs]e/i);
    }
  });
});
