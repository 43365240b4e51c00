import assert from 'node:assert/strict';
import { readImportGraph, reachable } from '../support/import-graph.ts';

const graph = readImportGraph('src');

/** The packages that are loaded with a file. */
function packagesOf(file: string): Set<string> {
  const loaded = reachable(graph, file, ({ isTypeOnly, isDynamic }) => !isTypeOnly && !isDynamic);
  return new Set([...loaded].filter((from) => !from.startsWith('src/') && !from.startsWith('node:')));
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
