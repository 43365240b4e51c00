import assert from 'node:assert/strict';
import { readImportGraph, reachable } from '../support/import-graph.ts';

const graph = readImportGraph('src');

/** The packages that are loaded with a file. */
function packagesOf(file: string): Set<string> {
  const loaded = reachable(graph, file, ({ isTypeOnly, isDynamic }) => !isTypeOnly && !isDynamic);
  return new Set([...loaded].filter((from) => !from.startsWith('src/') && !from.startsWith('node:')));
}

describe('the imports of the command line', () => {
  it('are commander alone until the command is known', () => {
    const packages = packagesOf('src/cli/main.ts');
    // For the schemas of errors.
    packages.delete('zod');
    assert.deepEqual([...packages], ['commander']);
  });

  for (const command of ['ping', 'claim', 'proxy', 'get', 'list', 'release', 'revoke', 'watch']) {
    it(`for ${command} are those of a client, and none of an agent`, () => {
      const packages = packagesOf(`src/cli/commands/${command}-command.ts`);
      assert.ok(packages.has('amqplib'));
      for (const heavy of ['mongodb', 'agenda', '@agendajs/mongo-backend', 'lmdb', 'rascal', 'axios', 'pino']) {
        assert.ok(!packages.has(heavy), heavy);
      }
      assert.ok(!packages.has('taskcluster-client'));
    });
  }

  it('for serve are those of an agent', () => {
    const packages = packagesOf('src/cli/commands/serve-command.ts');
    for (const needed of ['agenda', 'rascal', 'amqplib']) assert.ok(packages.has(needed), needed);
    // The driver of the store is imported when the store is opened.
    assert.ok(!packages.has('mongodb') && !packages.has('lmdb'));
  });
});
