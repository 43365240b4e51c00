#!/usr/bin/env -S node --max-semi-space-size=4 --heap-growing-percent=50 --v8-pool-size=1
// The options keep the resident memory of an agent small without making it slow (docs/performance.md): a small young
// generation, collections of the old one before it has grown by half, and one helper thread, because malloc has an arena
// for each thread.
import { Interrupted } from './define-command.ts';
import { runProgram } from './program.ts';

const interruption = new AbortController();
let isDone = false;
let firstMs = 0;
/** npm forwards a signal that the terminal has sent to the whole group: it arrives twice. In ms. */
const SAME_SIGNAL_MS = 500;
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    // A second signal exits without waiting, and so does one after the command: something of it is still open then.
    const isAgain = interruption.signal.aborted && performance.now() - firstMs > SAME_SIGNAL_MS;
    if (isDone || isAgain) process.exit(signal === 'SIGINT' ? 130 : 143);
    if (interruption.signal.aborted) return;
    firstMs = performance.now();
    interruption.abort(new Interrupted(signal));
  });
}
// The reader closed the pipe, as `| head` does.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit();
  throw error;
});

const { env, stdout, stderr } = process;
process.exitCode = await runProgram(process.argv.slice(2), { env, stdout, stderr, signal: interruption.signal });
isDone = true;
