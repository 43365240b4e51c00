import { type ImportGraph, readImportGraph, reachable } from './import-graph.ts';

/** What starts processes: RabbitMQ, MongoDB, programs, compilers. */
const STARTS_PROCESSES = 'node:child_process';

/**
 * The test files of the fast loop (`npm test -- --fast`): those that load nothing of `test/` and `dev/` that could start
 * a process, and so need neither RabbitMQ nor MongoDB.
 */
export function fastTests(graph: ImportGraph = readImportGraph('test', 'dev')): string[] {
  return [...graph.keys()].filter(
    (file) =>
      file.endsWith('.test.ts') && !reachable(graph, file, ({ isTypeOnly }) => !isTypeOnly).has(STARTS_PROCESSES),
  );
}
