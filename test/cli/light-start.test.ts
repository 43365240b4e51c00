import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** The packages that are loaded with a file: what it imports, and what that imports, but for imports of types alone. */
function packagesOf(file: string, seen = new Set<string>()): Set<string> {
  const packages = new Set<string>();
  if (seen.has(file)) return packages;
  seen.add(file);
  const text = readFileSync(file, 'utf8');
  for (const [, from = ''] of text.matchAll(/^(?:import|export) (?!type )[^;]*?from '([^']+)';/gm)) {
    if (from.startsWith('.')) for (const found of packagesOf(join(dirname(file), from), seen)) packages.add(found);
    else if (!from.startsWith('node:')) packages.add(from);
  }
  return packages;
}

describe('the start of the command line', () => {
  it('needs the library of arguments and nothing else before it knows the command', () => {
    const packages = packagesOf('src/cli/main.ts');
    // Of the errors that it can tell apart.
    packages.delete('zod');
    assert.deepEqual([...packages], ['commander']);
  });

  for (const command of ['ping', 'claim', 'get', 'list', 'release', 'revoke', 'watch']) {
    it(`loads for ${command} what a client needs, and none of an agent's parts`, () => {
      const packages = packagesOf(`src/cli/commands/${command}-command.ts`);
      assert.ok(packages.has('amqplib'));
      for (const heavy of ['mongodb', 'agenda', '@agendajs/mongo-backend', 'lmdb', 'rascal', 'axios', 'pino']) {
        assert.ok(!packages.has(heavy), heavy);
      }
      assert.ok(!packages.has('taskcluster-client'));
    });
  }

  it('loads for serve what an agent needs', () => {
    const packages = packagesOf('src/cli/commands/serve-command.ts');
    for (const needed of ['agenda', 'rascal', 'amqplib']) assert.ok(packages.has(needed), needed);
    // The store that is used is loaded when it is opened.
    assert.ok(!packages.has('mongodb') && !packages.has('lmdb'));
  });
});
