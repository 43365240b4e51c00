import { fork } from 'node:child_process';
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runCommand } from '../../dev/commands.ts';
import { type LocalMongoDB, NoMongoDB, startMongoDB } from '../../dev/mongodb.ts';
import { ensureRabbitMQ } from '../../dev/rabbitmq-install.ts';
import { BUILT_OF_RUN, buildForTests } from './built-agent.ts';
import { openFileQueue } from './file-queue.ts';
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

/** How long a worker may take to stop what its tests shared. */
const END_GRACE_MS = 60_000;

/** Runs all files of tests, each in whichever worker is free, and resolves when all workers have ended. */
export async function runInParallel(options: ParallelOptions): Promise<ParallelResult> {
  const total: RunResult = { passed: 0, failed: 0, skipped: 0 };
  const complaints: string[] = [];
  const { onProgress } = options;
  // Here, since two workers that install or build the same at once would be in each other's way. What documents tell to
  // build is then there already.
  await runCommand('npm', ['run', '--silent', 'build'], { env: options.env, signal: options.signal });
  await ensureRabbitMQ({ cacheFolder: '.cache/rabbitmq', onProgress, signal: options.signal });
  const built = join(options.folder, 'built');
  await buildForTests(built);
  const env = { ...options.env, [BUILT_OF_RUN]: built };
  // Tests that do not need it run while it is built.
  let serverEnv: NodeJS.ProcessEnv = {};
  const mongodb = openMongoDB(join(options.folder, 'mongodb'), onProgress, options.signal);
  const files = openFileQueue(
    'test',
    mongodb.then((opened) => (serverEnv = opened.env)),
  );

  const work = (number: number): Promise<void> =>
    new Promise((resolve) => {
      const folder = join(options.folder, `worker-${number}`);
      const child = fork(fileURLToPath(new URL('./run-worker.ts', import.meta.url)), {
        execArgv: ['--import', 'tsx'],
        env: { ...env, PULSE_AGENT_TEST_FOLDER: folder },
      });
      let file: string | undefined;
      let ending: NodeJS.Timeout | undefined;
      const interrupt = (): void => void child.kill('SIGTERM');
      options.signal.addEventListener('abort', interrupt);
      const giveOrder = async (): Promise<void> => {
        file = undefined;
        const next = await files.next();
        if (!child.connected) return;
        file = options.signal.aborted ? undefined : next;
        const order: WorkerOrder = file === undefined ? { end: true } : { file, env: serverEnv };
        child.send(order);
        if (file !== undefined) return;
        ending = setTimeout(() => {
          complaints.push(
            'A test process did not end after its last test: a test left a timer, socket or server open.',
          );
          child.kill('SIGKILL');
        }, END_GRACE_MS);
      };
      child.on('message', ({ result }: WorkerReport) => {
        for (const key of ['passed', 'failed', 'skipped'] as const) total[key] += result?.[key] ?? 0;
        void giveOrder();
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
  await (await mongodb).close();
  rmSync(built, { recursive: true, force: true });
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
    if (error instanceof NoMongoDB || signal.aborted) return { env: {}, close: async () => undefined };
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
