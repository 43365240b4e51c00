#!/usr/bin/env -S node --max-semi-space-size=2 --optimize-for-size --v8-pool-size=1
// The options keep the resident memory of an agent small (docs/performance.md): little room for garbage, and one helping
// thread, as malloc keeps memory apart for each.
import { Interrupted } from './command.ts';
import { runProgram } from './program.ts';

const ending = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    // Who asks twice does not want to wait.
    if (ending.signal.aborted) process.exit(signal === 'SIGINT' ? 130 : 143);
    ending.abort(new Interrupted(signal));
  });
}
// The reader has seen enough, as with `| head`.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit();
  throw error;
});

const { env, stdout, stderr } = process;
process.exitCode = await runProgram(process.argv.slice(2), { env, stdout, stderr, signal: ending.signal });
