import assert from 'node:assert/strict';
import { type Import, readImportGraph, reachable } from '../support/import-graph.ts';

const graph = readImportGraph('src');

/** The packages that are loaded with a file. */
function packagesOf(file: string): Set<string> {
  const loaded = reachable(graph, file, isLoaded);
  return new Set([...loaded].filter((from) => !from.startsWith('src/') && !from.startsWith('node:')));
}

const isLoaded = ({ isTypeOnly, isDynamic }: Import): boolean => !isTypeOnly && !isDynamic;

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

  it('for serve have nothing of the page for operators, which an agent with a token imports', () => {
    const loaded = reachable(graph, 'src/cli/commands/serve-command.ts', isLoaded);
    const ofPage = /^src\/(operator-(api|http)|page)\//;
    assert.deepEqual(
      [...loaded].filter((file) => ofPage.test(file)),
      [],
    );
    const imports = [...loaded].flatMap((file) => graph.get(file) ?? []);
    const page = imports.find(({ from, isDynamic }) => isDynamic && from.endsWith('operator-page.ts'));
    assert.ok(page !== undefined);
    assert.ok([...reachable(graph, page.from, isLoaded)].some((file) => ofPage.test(file)));
  });
});
