import assert from 'node:assert/strict';
import { fastTests } from '../support/fast-tests.ts';
import { type Import, type ImportGraph, readImportGraph } from '../support/import-graph.ts';

describe('the fast loop', () => {
  it('leaves out a test file that loads what starts a process, however indirectly', () => {
    const load = (from: string): Import => ({ from, isTypeOnly: false, isDynamic: false });
    const graph: ImportGraph = new Map([
      ['test/pure.test.ts', [load('test/support/records.ts')]],
      ['test/typed.test.ts', [{ ...load('test/support/broker.ts'), isTypeOnly: true }]],
      ['test/direct.test.ts', [load('node:child_process')]],
      ['test/indirect.test.ts', [load('test/support/broker.ts')]],
      ['test/dynamic.test.ts', [{ ...load('test/support/broker.ts'), isDynamic: true }]],
      ['test/support/records.ts', []],
      ['test/support/broker.ts', [load('dev/rabbitmq.ts')]],
      ['dev/rabbitmq.ts', [load('node:child_process')]],
    ]);
    assert.deepEqual(fastTests(graph), ['test/pure.test.ts', 'test/typed.test.ts']);
  });

  it('has the tests of decisions, requests and settings, and none that starts RabbitMQ, MongoDB or a program', () => {
    const graph = readImportGraph('test', 'dev');
    const fast = fastTests(graph);
    for (const file of [
      'test/contract/signature.test.ts',
      'test/config/config.test.ts',
      'test/namespaces/claim/decide-claim.test.ts',
      'test/queues/decide-alert.test.ts',
      'test/requests/serve-delivery.test.ts',
      'test/verify/checks.test.ts',
    ]) {
      assert.ok(fast.includes(file), file);
    }
    const starters = ['broker', 'mongodb', 'agent', 'agent-process', 'command-line', 'program', 'built-agent'];
    for (const file of fast) {
      for (const { from, isTypeOnly } of graph.get(file) ?? []) {
        assert.ok(isTypeOnly || !starters.some((name) => from === `test/support/${name}.ts`), `${file} loads ${from}`);
      }
    }
  });
});
