import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { inspect } from 'node:util';
import Mocha from 'mocha';
import { rejectAfter } from '../../src/util/deadline.ts';
import type * as Hooks from './hooks.ts';
import type * as Report from './reporter.ts';

// One of several processes that run the test files of a whole run. It requests one file after the other, so that what its
// tests share, such as a broker, starts once. Orders and results are messages of node:child_process.

/** What a worker receives: a file, and environment variables from now on. */
export type WorkerOrder = { readonly file: string; readonly env: NodeJS.ProcessEnv } | { readonly end: true };

/** What a worker sends; the result is that of the previous file. */
export interface WorkerReport {
  readonly wants: 'file';
  readonly result?: Report.RunResult;
}

// Loaded as Mocha loads the tests: `import` would give another instance, with its own list of cleanups.
const require = createRequire(import.meta.url);
const { mochaHooks, afterFile, mochaGlobalTeardown } = require('./hooks.ts') as typeof Hooks;
const { default: Reporter } = require('./reporter.ts') as typeof Report;

const settings = JSON.parse(readFileSync('.mocharc.json', 'utf8')) as { timeout: number; slow: number };

/** How long it may take to remove what a file left, such as a RabbitMQ of its own, in ms. */
const CLEANUP_MS = 60_000;

let running: Mocha.Runner | undefined;
let interrupted = false;

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    interrupted = true;
    running?.abort();
  });
}
// The runner has exited.
process.on('disconnect', () => process.exit(1));
process.on('message', (order: WorkerOrder) => {
  if ('file' in order && !interrupted) {
    Object.assign(process.env, order.env);
    void runAndAsk(order.file);
  } else void end();
});
ask();

async function runAndAsk(file: string): Promise<void> {
  const mocha = new Mocha({
    reporter: Reporter,
    timeout: settings.timeout,
    slow: settings.slow,
    rootHooks: mochaHooks,
  });
  mocha.addFile(file);
  await mocha.loadFilesAsync();
  await new Promise<void>((resolve) => {
    running = mocha.run(() => resolve());
  });
  const { passes = 0, failures = 0, pending = 0 } = running?.stats ?? {};
  const cleanups = await cleanUpAfter(file);
  // Otherwise the runner of each file keeps listening for uncaught errors of later files.
  mocha.dispose();
  ask({ passed: passes, failed: failures + cleanups, skipped: pending });
}

/** @returns the number of failures */
async function cleanUpAfter(file: string): Promise<0 | 1> {
  try {
    await rejectAfter(CLEANUP_MS, afterFile());
    return 0;
  } catch (error) {
    process.stderr.write(`FAIL  the cleanup after ${file}: ${inspect(error)}\n`);
    return 1;
  }
}

async function end(): Promise<void> {
  await mochaGlobalTeardown();
  process.exit(interrupted ? 130 : 0);
}

function ask(result?: Report.RunResult): void {
  const report: WorkerReport = { wants: 'file', ...(result === undefined ? {} : { result }) };
  process.send?.(report);
}
