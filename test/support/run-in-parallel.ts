import { fork } from 'node:child_process';
import { existsSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runCommand } from '../../src/dev/commands.ts';
import { type LocalMongoDB, NoMongoDB, startMongoDB } from '../../src/dev/mongodb.ts';
import { ensureRabbitMQ } from '../../src/dev/rabbitmq-install.ts';
import { MONGODB_OF_RUN } from './mongodb.ts';
import type { RunResult } from './reporter.ts';
import type { WorkerOrder, WorkerReport } from './run-worker.ts';

/** What a run in several processes came to. */
export interface ParallelResult extends RunResult {
  /** What went wrong apart from tests, a sentence each. */
  readonly complaints: readonly string[];
}

/** How to run the tests in several processes. */
export interface ParallelOptions {
  readonly workers: number;
  /** Each worker gets a folder of its own in it, in which it has to leave nothing. */
  readonly folder: string;
  readonly env: NodeJS.ProcessEnv;
  readonly signal: AbortSignal;
  /** Told what takes long before the first test. */
  readonly onProgress: (line: string) => void;
}

/** Their tests wait for processes that start and die: begun last, they would keep one worker while the others are done. */
const SLOW_FOLDERS = [
  'crash',
  'agent',
  'examples',
  'docs',
  'cli',
  'simulation',
  'verify',
  'client',
  'jobs',
  'namespaces',
];

/** How long a worker may take to stop what its tests shared. */
const END_GRACE_MS = 60_000;

/** Runs all files of tests, each in whichever worker is free, and resolves when all workers have ended. */
export async function runInParallel(options: ParallelOptions): Promise<ParallelResult> {
  const files = testFiles('test');
  const total: RunResult = { passed: 0, failed: 0, skipped: 0 };
  const complaints: string[] = [];
  const { onProgress } = options;
  // Here, since two workers that install or build the same at once would be in each other's way. What documents tell to
  // build is then there already.
  await runCommand('npm', ['run', '--silent', 'build'], { env: options.env, signal: options.signal });
  await ensureRabbitMQ({ cacheFolder: '.cache/rabbitmq', onProgress, signal: options.signal });
  const mongodb = await openMongoDB(join(options.folder, 'mongodb'), onProgress, options.signal);

  const work = (number: number): Promise<void> =>
    new Promise((resolve) => {
      const folder = join(options.folder, `worker-${number}`);
      const child = fork(fileURLToPath(new URL('./run-worker.ts', import.meta.url)), {
        execArgv: ['--import', 'tsx'],
        env: { ...options.env, ...mongodb.env, PULSE_AGENT_TEST_FOLDER: folder },
      });
      let file: string | undefined;
      let ending: NodeJS.Timeout | undefined;
      const interrupt = (): void => void child.kill('SIGTERM');
      options.signal.addEventListener('abort', interrupt);
      child.on('message', ({ result }: WorkerReport) => {
        for (const key of ['passed', 'failed', 'skipped'] as const) total[key] += result?.[key] ?? 0;
        file = options.signal.aborted ? undefined : files.shift();
        const order: WorkerOrder = file === undefined ? { end: true } : { file };
        child.send(order);
        if (file !== undefined) return;
        ending = setTimeout(() => {
          complaints.push(
            'A test process did not end after its last test: a test left a timer, socket or server open.',
          );
          child.kill('SIGKILL');
        }, END_GRACE_MS);
      });
      child.once('exit', (code, signal) => {
        clearTimeout(ending);
        options.signal.removeEventListener('abort', interrupt);
        if (file !== undefined) complaints.push(`A test process ended in ${file}, by ${signal ?? `code ${code}`}.`);
        else if (code !== 0 && ending === undefined) complaints.push(`A test process ended with ${signal ?? code}.`);
        if (existsSync(folder))
          complaints.push(...readdirSync(folder).map((name) => `Left in the folder for tests: ${name}`));
        rmSync(folder, { recursive: true, force: true });
        resolve();
      });
    });
  await Promise.all(Array.from({ length: options.workers }, (_, number) => work(number)));
  await mongodb.close();
  // What an interrupted run left behind says nothing about its tests.
  return { ...total, complaints: options.signal.aborted ? ['The run was interrupted.'] : complaints };
}

/** One server for all workers: databases are a test's own. */
async function openMongoDB(
  folder: string,
  onProgress: (line: string) => void,
  signal: AbortSignal,
): Promise<{ env: NodeJS.ProcessEnv; close: () => Promise<void> }> {
  let server: LocalMongoDB;
  try {
    server = await startMongoDB({ folder, onProgress, signal });
  } catch (error) {
    // Each test that needs one says so again, and what was tried.
    if (error instanceof NoMongoDB) return { env: {}, close: async () => undefined };
    throw error;
  }
  return {
    env: { [MONGODB_OF_RUN]: JSON.stringify({ url: server.url, kind: server.kind }) },
    close: async () => {
      await server.kill();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** The slow ones first. */
function testFiles(folder: string): string[] {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.test.ts'))
    .map((name) => join(folder, name));
  const rank = (file: string): number => {
    const at = SLOW_FOLDERS.indexOf(file.split('/')[1] ?? '');
    return at === -1 ? SLOW_FOLDERS.length : at;
  };
  return files.toSorted((one, other) => rank(one) - rank(other) || statSync(other).size - statSync(one).size);
}
