import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { endMarked, entries } from './support/leftovers.ts';
import type { RunResult } from './support/reporter.ts';
import { runInParallel } from './support/run-in-parallel.ts';

/** Each has a broker of its own. Tests mostly wait, also on two cores; with more at once those that look at time would be late. */
const WORKERS = 3;

/** How long mocha may take to end after its last test: stopping what tests share takes seconds. */
const END_GRACE_MS = 60_000;

/** How long an interrupted run may take to end in order. */
const INTERRUPT_GRACE_MS = 5_000;

/** What the names of files that tests and the programs they start make elsewhere would contain. */
const OUR_NAMES = /pulse|rabbit|mongo|ferret|lmdb/i;

/** What `npx -p node@22 -c 'npm test'` passes on: another npx, in a test, would take it for its own. */
const OPTIONS_OF_NPX = ['npm_config_call', 'npm_config_package'];

process.exit(await main(process.argv.slice(2)));

/**
 * Runs all tests in a few processes at once, or mocha with `args`; looks for what they left behind, prints the summary as
 * the last line; returns the exit code.
 */
async function main(args: readonly string[]): Promise<number> {
  for (const name of OPTIONS_OF_NPX) delete process.env[name];
  const run = randomBytes(6).toString('hex');
  const mark = `PULSE_AGENT_TEST_RUN=${run}`;
  const cache = resolve('.cache/tests');
  removeFoldersOfTheDead(cache);
  const folder = join(cache, `run-${process.pid}`);
  const temporary = join(folder, 'tmp');
  const files = join(folder, 'files');
  mkdirSync(temporary, { recursive: true });
  const before = new Set(entries('/tmp'));

  const env = { ...process.env, NODE_ENV: 'test', TMPDIR: temporary, PULSE_AGENT_TEST_RUN: run };
  const { passed, failed, skipped, complaints } =
    args.length === 0 ? await runAll(files, mark, env) : await runSome(args, folder, mark, env);
  for (const left of await endMarked(mark, 3000)) complaints.push(`Left running: ${left.pid} ${left.command}`);
  if (complaints.length === 0 && passed + failed === 0) complaints.push('No test was run.');
  complaints.push(...leftFiles(files, temporary, before));
  rmSync(folder, { recursive: true, force: true });

  console.log('');
  for (const complaint of complaints) console.log(`FAIL  ${complaint}`);
  const failures = failed + complaints.length;
  console.log(`${passed} passed, ${failures} failed, ${skipped} skipped`);
  return failures === 0 ? 0 : 1;
}

type Ended = RunResult & { complaints: string[] };

async function runAll(folder: string, mark: string, env: NodeJS.ProcessEnv): Promise<Ended> {
  // What the run itself starts is looked for as well.
  Object.assign(process.env, env);
  const interrupted = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      interrupted.abort(new Error(`The run was interrupted by ${signal}.`));
      setTimeout(() => void endMarked(mark, 0), INTERRUPT_GRACE_MS).unref();
    });
  }
  const result = await runInParallel({
    workers: WORKERS,
    folder,
    env,
    signal: interrupted.signal,
    onProgress: (line) => console.log(line),
  });
  return { ...result, complaints: [...result.complaints] };
}

async function runSome(args: readonly string[], folder: string, mark: string, env: NodeJS.ProcessEnv): Promise<Ended> {
  const resultFile = join(folder, 'result.json');
  const ended = await runMocha(args, mark, resultFile, {
    ...env,
    PULSE_AGENT_TEST_FOLDER: join(folder, 'files'),
    PULSE_AGENT_TEST_RESULT: resultFile,
  });
  const complaints = ended.complaint === undefined ? [] : [ended.complaint];
  const result = existsSync(resultFile) ? (JSON.parse(readFileSync(resultFile, 'utf8')) as RunResult) : undefined;
  if (result === undefined) complaints.push('Mocha did not get to the end of the tests.');
  else if (result.failed === 0 && ended.code !== 0 && ended.complaint === undefined) {
    complaints.push(`Mocha ended with ${ended.code}, although no test failed: see above.`);
  }
  return { passed: 0, failed: 0, skipped: 0, ...result, complaints };
}

async function runMocha(
  args: readonly string[],
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
      // Mocha finishes the present test first, which may take longer than anybody wants to wait.
      setTimeout(() => void endMarked(mark, 0), INTERRUPT_GRACE_MS).unref();
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
    if (lastTestAt !== undefined && performance.now() - lastTestAt > END_GRACE_MS) {
      await endMarked(mark, 0);
      return {
        code: 1,
        complaint: 'Mocha did not end after the last test: a test left a timer, socket or server open.',
      };
    }
  }
}

function leftFiles(files: string, temporary: string, before: ReadonlySet<string>): string[] {
  // The TypeScript loader keeps what it has translated; nobody else may leave anything.
  const inTemporary = entries(temporary).filter((name) => !name.startsWith('tsx-') && name !== 'node-compile-cache');
  const elsewhere = entries('/tmp').filter((name) => !before.has(name) && OUR_NAMES.test(name));
  return [
    ...inTemporary.map((name) => `Left in the temporary folder: ${name}`),
    ...entries(files).map((name) => `Left in the folder for tests: ${name}`),
    ...elsewhere.map((name) => `Left outside of the working copy: /tmp/${name}`),
  ];
}

/** Removes what runs have left that were killed before they could. */
function removeFoldersOfTheDead(cache: string): void {
  for (const name of entries(cache)) {
    const pid = Number(/^(?:run-)?([0-9]+)$/.exec(name)?.[1]);
    if (!processLives(pid)) rmSync(join(cache, name), { recursive: true, force: true });
  }
}

function processLives(pid: number): boolean {
  return existsSync(`/proc/${pid}`);
}
