import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { bundleProgram } from '../../dev/bundle-program.ts';
import { builtProgram } from '../support/built-agent.ts';
import { runCommandLine } from '../support/command-line.ts';
import { makeFolder } from '../support/folders.ts';

/** Packages outside the bundle: the first has a native part, the second is imported at run time. */
const OUTSIDE = new Set(['lmdb', 're2js']);

describe('the bundled program', function () {
  this.timeout(60_000);
  const { version, dependencies } = JSON.parse(readFileSync('package.json', 'utf8')) as {
    readonly version: string;
    readonly dependencies: Readonly<Record<string, string>>;
  };

  const chunks = async (): Promise<(readonly [file: string, text: string])[]> => {
    const folder = dirname(await builtProgram());
    const files = readdirSync(folder).filter((name) => name.endsWith('.js'));
    return files.map((file) => [file, readFileSync(join(folder, file), 'utf8')] as const);
  };

  it('finds its package.json', async () => {
    const run = await runCommandLine(['--version'], {});
    assert.equal(await run.exited, 0);
    assert.equal(run.stdout().trim(), version);
  });

  it('comes with the licences and source addresses of all its packages', async () => {
    const licences = readFileSync(join(await builtProgram(), '../licences.txt'), 'utf8');
    const [, ...entries] = licences.split(`\n\n${'-'.repeat(80)}\n\n`);
    for (const entry of entries) assert.match(entry, /^.+ \(.+\)\nSources: .+\n\n[^]{10,}/);
    for (const [name, number] of Object.entries(dependencies)) {
      const isInside = entries.some((entry) => entry.startsWith(`${name} ${number} (`));
      assert.equal(isInside, !OUTSIDE.has(name), name);
    }
  });

  it('contains only the used parts of zod, because of import * as z', async () => {
    for (const [file, text] of await chunks()) {
      assert.doesNotMatch(text, /Ongeldige invoer/, `${file} contains zod's locales`);
    }
  });

  it('has short lines, because Node prints the whole line of an uncaught error', async () => {
    for (const [file, text] of await chunks()) {
      // String literals are not split.
      assert.ok(!text.split('\n').some((line) => line.length > 30_000), file);
    }
  });

  it('starts when a module has a name of Node at its top level', async () => {
    const folder = makeFolder('bundle');
    const program = join(folder, 'program.ts');
    writeFileSync(program, "export const [URL, createRequire] = ['a', 'b'];\nconsole.log(URL, createRequire);\n");
    await bundleProgram(folder, program);
    assert.equal(execFileSync(process.execPath, [join(folder, 'cli/main.js')], { encoding: 'utf8' }), 'a b\n');
  });

  it('is refused with import() of a package, whose named exports a bundle loses', async () => {
    const folder = makeFolder('bundle');
    const program = join(folder, 'program.ts');
    writeFileSync(program, "const { ObjectId } = await import('mongodb');\nconsole.log(ObjectId.name);\n");
    await assert.rejects(bundleProgram(folder, program), /import\(\) of node_modules\/mongodb\/.*: move its use/);
  });
});
