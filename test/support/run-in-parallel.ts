import { fork } from 'node:child_process';
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runCommand } from '../../dev/commands.ts';
import { ensureChromium } from '../../dev/chromium.ts';
import { type LocalMongoDB, NoMongoDB, startMongoDB } from '../../dev/mongodb.ts';
import { ensureRabbitMQ } from '../../dev/rabbitmq-install.ts';
import { BUILT_OF_RUN, buildForTests } from './built-agent.ts';
import { CLUSTER_FOLDER, openFileQueue } from './file-queue.ts';
import { MONGODB_OF_RUN } from './mongodb.ts';
import type { RunResult } from './reporter.ts';
import type { WorkerOrder, WorkerReport } from './run-worker.ts';

/** The outcome of a run in several processes. */
export interface ParallelResult extends RunResult {
  /** What went wrong apart from tests: one sentence each. */
  readonly complaints: readonly string[];
}

/** How to run the tests in several processes. */
export interface ParallelOptions {
  readonly workers: number;
  /** Each worker gets a folder in it, which must be empty at the end. */
  readonly folder: string;
  readonly env: NodeJS.ProcessEnv;
  readonly signal: AbortSignal;
  /** Called with one line about what takes long before the first test, and, at the end, about the slowest files. */
  readonly onProgress: (line: string) => void;
}

/** At most this many files with failures run again: more is no accident of timing. */
const MAX_RUN_AGAIN = 3;

/** How many of the slowest files are reported. */
const SLOWEST = 10;

/** How long a worker may take to stop the servers that its tests shared, in ms. */
const EXIT_GRACE_MS = 60_000;

/**
 * Runs all test files, each in the next free worker, and resolves when all workers have exited. A few files with failures run
 * once more, alone: on two cores, processes that others starve exceed any time limit. What passes only then is reported.
 */
export async function runInParallel(options: ParallelOptions): Promise<ParallelResult> {
  const results = new Map<string, RunResult>();
  const complaints: string[] = [];
  const durations: { readonly file: string; readonly ms: number }[] = [];
  /** When the processes had no more file, in ms: far apart, the files are badly shared. */
  const idleAt: number[] = [];
  const beganMs = performance.now();
  const { onProgress } = options;
  const built = join(options.folder, 'built');
  const build = async (): Promise<void> => {
    // Documents expect that dist/ is built.
    await runCommand('npm', ['run', '--silent', 'build'], { env: options.env, signal: options.signal });
    await buildForTests(built);
  };
  // Here, because workers would install and build the same things at the same time.
  const install = async (): Promise<void> => {
    await ensureRabbitMQ({ cacheFolder: '.cache/rabbitmq', onProgress, signal: options.signal });
    // Each test that needs a browser reports that there is none.
    await ensureChromium({ cacheFolder: '.cache/chromium', onProgress, signal: options.signal }).catch(() => undefined);
  };
  await Promise.all([build(), install()]);
  const env = { ...options.env, [BUILT_OF_RUN]: built };
  // While it is built, the tests that do not need it run.
  let serverEnv: NodeJS.ProcessEnv = {};
  const mongodb = openMongoDB(join(options.folder, 'mongodb'), onProgress, options.signal);
  const available = mongodb.then((opened) => (serverEnv = opened.env));
  const files = openFileQueue('test', available);
  const clusterFiles = openFileQueue(CLUSTER_FOLDER, available);

  const work = (number: number, nextFile: () => Promise<string | undefined>): Promise<void> =>
    new Promise((resolve) => {
      const folder = join(options.folder, `worker-${number}`);
      const child = fork(fileURLToPath(new URL('./run-worker.ts', import.meta.url)), {
        execArgv: ['--import', 'tsx'],
        env: { ...env, PULSE_AGENT_TEST_FOLDER: folder },
      });
      let file: string | undefined;
      let startedMs = 0;
      let ending: NodeJS.Timeout | undefined;
      const interrupt = (): void => void child.kill('SIGTERM');
      options.signal.addEventListener('abort', interrupt);
      const giveOrder = async (): Promise<void> => {
        file = undefined;
        const next = await nextFile();
        if (!child.connected) return;
        file = options.signal.aborted ? undefined : next;
        startedMs = performance.now();
        const order: WorkerOrder = file === undefined ? { end: true } : { file, env: serverEnv };
        child.send(order);
        if (file !== undefined) return;
        idleAt.push(performance.now() - beganMs);
        ending = setTimeout(() => {
          complaints.push(
            'A test process did not exit after its last test: a test left a timer, socket or server open.',
          );
          child.kill('SIGKILL');
        }, EXIT_GRACE_MS);
      };
      child.on('message', ({ result }: WorkerReport) => {
        if (file !== undefined) {
          if (result !== undefined) results.set(file, result);
          durations.push({ file, ms: performance.now() - startedMs });
        }
        void giveOrder();
      });
      child.once('exit', (code, signal) => {
        clearTimeout(ending);
        options.signal.removeEventListener('abort', interrupt);
        if (file !== undefined) complaints.push(`A test process exited in ${file}, by ${signal ?? `code ${code}`}.`);
        // One that is killed because it does not exit is reported already.
        else if (code !== 0 && signal !== 'SIGKILL') complaints.push(`A test process exited with ${signal ?? code}.`);
        if (existsSync(folder))
          complaints.push(...readdirSync(folder).map((name) => `Left in the folder for tests: ${name}`));
        rmSync(folder, { recursive: true, force: true });
        resolve();
      });
    });
  // The first worker ends, and its cluster with it, before another one takes its place.
  const first = work(0, () => clusterFiles.next()).then(() => work(0, () => files.next()));
  const others = Array.from({ length: options.workers - 1 }, (_, index) => work(index + 1, () => files.next()));
  await Promise.all([first, ...others]);
  const again = failedFiles(results);
  if (again.length > 0 && again.length <= MAX_RUN_AGAIN && !options.signal.aborted) {
    onProgress(`\nThese files have failures and run again, alone: ${again.join(', ')}`);
    const rest = [...again];
    await work(options.workers, async () => rest.shift());
    const stillFailing = failedFiles(results);
    const unsteady = again.filter((file) => !stillFailing.includes(file));
    if (unsteady.length > 0)
      onProgress(`\nUnsteady, to be mended: failed at first, passed alone: ${unsteady.join(', ')}`);
  }
  await (await mongodb).close();
  rmSync(built, { recursive: true, force: true });
  onProgress(slowest(durations));
  onProgress(`The processes ended after ${idleAt.map((ms) => Math.round(ms / 1000)).join(', ')} s.`);
  // After an interruption, what is left behind is not a fault of the tests.
  return { ...sum(results), complaints: options.signal.aborted ? ['The run was interrupted.'] : complaints };
}

function failedFiles(results: ReadonlyMap<string, RunResult>): string[] {
  return [...results].filter(([, { failed }]) => failed > 0).map(([file]) => file);
}

function sum(results: ReadonlyMap<string, RunResult>): RunResult {
  const total: RunResult = { passed: 0, failed: 0, skipped: 0 };
  for (const result of results.values()) {
    for (const key of ['passed', 'failed', 'skipped'] as const) total[key] += result[key];
  }
  return total;
}

function slowest(durations: readonly { readonly file: string; readonly ms: number }[]): string {
  const first = durations.toSorted((one, other) => other.ms - one.ms).slice(0, SLOWEST);
  const lines = first.map(({ file, ms }) => `  ${(ms / 1000).toFixed(1).padStart(6)} s  ${file}`);
  return ['', 'The slowest test files:', ...lines].join('\n');
}

/** Opens one server for all workers: each test has its own database. */
async function openMongoDB(
  folder: string,
  onProgress: (line: string) => void,
  signal: AbortSignal,
): Promise<{ env: NodeJS.ProcessEnv; close: () => Promise<void> }> {
  let server: LocalMongoDB;
  try {
    server = await startMongoDB({ folder, onProgress, signal });
  } catch (error) {
    // Each test that needs a server reports what was tried.
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
