import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fastTests } from './support/fast-tests.ts';
import { entries, killMarked } from './support/leftovers.ts';
import type { RunResult } from './support/reporter.ts';
import { runInParallel } from './support/run-in-parallel.ts';

/**
 * How many processes run the tests, unless `--workers` says it. Each has its own broker. Tests mostly wait, so two cores
 * carry three; with more, tests that measure time fail.
 */
const WORKERS = 3;

/** How long mocha may run after its last test, in ms: stopping the shared servers takes seconds. */
const EXIT_GRACE_MS = 60_000;

/** The same for the fast loop, which has no server to stop, in ms: a timer that a test leaves would make it slow. */
const FAST_EXIT_GRACE_MS = 3_000;

/** How long an interrupted run may take to clean up, in ms. */
const INTERRUPT_GRACE_MS = 5_000;

/** Files in /tmp with such names come from tests or from programs that tests start. */
const OUR_NAMES = /pulse|rabbit|mongo|ferret|lmdb/i;

/** `npx -p node@22 -c 'npm test'` sets these variables; an npx that a test starts would obey them. */
const OPTIONS_OF_NPX = ['npm_config_call', 'npm_config_package'];

process.exit(await main(process.argv.slice(2)));

/**
 * Runs all tests in several processes (`--workers 4`: in four); with `--fast`, those that need no server; with other
 * arguments, mocha. Reports
 * what the tests left behind and prints the summary as the last line.
 *
 * @returns the exit code
 */
async function main([...args]: readonly string[]): Promise<number> {
  const workers = takeWorkers(args);
  for (const name of OPTIONS_OF_NPX) delete process.env[name];
  const run = randomBytes(6).toString('hex');
  const mark = `PULSE_AGENT_TEST_RUN=${run}`;
  const cache = resolve('.cache/tests');
  removeFoldersOfKilledRuns(cache);
  const folder = join(cache, `run-${process.pid}`);
  const temporary = join(folder, 'tmp');
  const files = join(folder, 'files');
  mkdirSync(temporary, { recursive: true });
  const before = new Set(entries('/tmp'));

  const env = { ...process.env, NODE_ENV: 'test', TMPDIR: temporary, PULSE_AGENT_TEST_RUN: run };
  const isFast = args.includes('--fast');
  const mochaArgs = isFast ? [...args.filter((arg) => arg !== '--fast'), ...fastTests()] : args;
  const graceMs = isFast ? FAST_EXIT_GRACE_MS : EXIT_GRACE_MS;
  const { passed, failed, skipped, complaints } =
    args.length === 0 ? await runAll(workers, files, mark, env) : await runSome(mochaArgs, graceMs, folder, mark, env);
  for (const left of await killMarked(mark, 3000)) complaints.push(`Left running: ${left.pid} ${left.command}`);
  if (complaints.length === 0 && passed + failed + skipped === 0) complaints.push('No test was run.');
  complaints.push(...leftFiles(files, temporary, before));
  rmSync(folder, { recursive: true, force: true });

  console.log('');
  for (const complaint of complaints) console.log(`FAIL  ${complaint}`);
  const failures = failed + complaints.length;
  console.log(`${passed} passed, ${failures} failed, ${skipped} skipped`);
  return failures === 0 ? 0 : 1;
}

/** Removes `--workers <n>` from the arguments. */
function takeWorkers(args: string[]): number {
  const at = args.indexOf('--workers');
  if (at === -1) return WORKERS;
  const [, text] = args.splice(at, 2);
  const workers = Number(text);
  if (!Number.isInteger(workers) || workers < 1) throw new Error('Give --workers a whole number, at least 1.');
  return workers;
}

type Outcome = RunResult & { complaints: string[] };

async function runAll(workers: number, folder: string, mark: string, env: NodeJS.ProcessEnv): Promise<Outcome> {
  // Processes that the run itself starts must carry the mark too.
  Object.assign(process.env, env);
  const interrupted = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      interrupted.abort(new Error(`The run was interrupted by ${signal}.`));
      setTimeout(() => void killMarked(mark, 0), INTERRUPT_GRACE_MS).unref();
    });
  }
  const result = await runInParallel({
    workers,
    folder,
    env,
    signal: interrupted.signal,
    onProgress: (line) => console.log(line),
  });
  return { ...result, complaints: [...result.complaints] };
}

async function runSome(
  args: readonly string[],
  graceMs: number,
  folder: string,
  mark: string,
  env: NodeJS.ProcessEnv,
): Promise<Outcome> {
  const resultFile = join(folder, 'result.json');
  const exited = await runMocha(args, graceMs, mark, resultFile, {
    ...env,
    PULSE_AGENT_TEST_FOLDER: join(folder, 'files'),
    PULSE_AGENT_TEST_RESULT: resultFile,
  });
  const complaints = exited.complaint === undefined ? [] : [exited.complaint];
  const result = existsSync(resultFile) ? (JSON.parse(readFileSync(resultFile, 'utf8')) as RunResult) : undefined;
  if (result === undefined) complaints.push('Mocha exited before the last test.');
  else if (result.failed === 0 && exited.code !== 0 && exited.complaint === undefined) {
    complaints.push(`Mocha exited with ${exited.code}, although no test failed: see above.`);
  }
  return { passed: 0, failed: 0, skipped: 0, ...result, complaints };
}

async function runMocha(
  args: readonly string[],
  graceMs: number,
  mark: string,
  resultFile: string,
  env: NodeJS.ProcessEnv,
): Promise<{ code: number; complaint?: string }> {
  const child = spawn(
    process.execPath,
    ['node_modules/mocha/bin/mocha.js', '--reporter', './test/support/reporter.ts', ...args],
    { stdio: 'inherit', env },
  );
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      child.kill(signal);
      // Mocha finishes the current test first, which may take minutes.
      setTimeout(() => void killMarked(mark, 0), INTERRUPT_GRACE_MS).unref();
    });
  }
  const exited = new Promise<number>((settle) => {
    child.once('exit', (status) => settle(status ?? 1));
    child.once('error', () => settle(1));
  });
  let lastTestAt: number | undefined;
  for (;;) {
    const code = await Promise.race([exited, delay(100)]);
    if (code !== undefined) return { code };
    if (existsSync(resultFile)) lastTestAt ??= performance.now();
    if (lastTestAt !== undefined && performance.now() - lastTestAt > graceMs) {
      await killMarked(mark, 0);
      return {
        code: 1,
        complaint: 'Mocha did not exit after the last test: a test left a timer, socket or server open.',
      };
    }
  }
}

function leftFiles(files: string, temporary: string, before: ReadonlySet<string>): string[] {
  // The TypeScript loader and Node keep their caches; nothing else may stay.
  const inTemporary = entries(temporary).filter((name) => !name.startsWith('tsx-') && name !== 'node-compile-cache');
  const elsewhere = entries('/tmp').filter((name) => !before.has(name) && OUR_NAMES.test(name));
  return [
    ...inTemporary.map((name) => `Left in the temporary folder: ${name}`),
    ...entries(files).map((name) => `Left in the folder for tests: ${name}`),
    ...elsewhere.map((name) => `Left outside of the working copy: /tmp/${name}`),
  ];
}

/** Removes the folders of runs that were killed before they could clean up. */
function removeFoldersOfKilledRuns(cache: string): void {
  for (const name of entries(cache)) {
    const pid = Number(/^(?:run-)?([0-9]+)$/.exec(name)?.[1]);
    if (!isRunning(pid)) rmSync(join(cache, name), { recursive: true, force: true });
  }
}

function isRunning(pid: number): boolean {
  return existsSync(`/proc/${pid}`);
}
