import { execFile } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, rmSync, symlinkSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { build, stop } from 'esbuild';
import { bundlePage } from '../../dev/bundle-page.ts';
import { bundleProgram } from '../../dev/bundle-program.ts';
import { addRunCleanup } from './cleanup.ts';
import { testFolder, unique } from './folders.ts';

const COMPILER = 'node_modules/typescript/bin/tsc';

/** The variable that names the folder of {@link buildForTests} of the whole run. */
export const BUILT_OF_RUN = 'PULSE_AGENT_TEST_BUILT';

const RUNNER = 'test/support/run-with-code-cache.cjs';

/** Both are one folder deep, like `src/`, so that the code finds package.json and config/. */
const BUNDLE = 'bundled/crashing-agent.cjs';
const PROGRAM = 'dist';

let folderOfProcess: string | undefined;
let compiled: Promise<void> | undefined;
let bundled: Promise<void> | undefined;
let program: Promise<void> | undefined;

/**
 * The arguments with which Node runs `crashing-agent.ts` as one bundle of the current sources, built by the first call.
 * The bundle starts three times as fast as the modules, and the crash tests start it two hundred times.
 */
export async function builtCrashingAgent(): Promise<readonly string[]> {
  const folder = builtFolder();
  if (process.env[BUILT_OF_RUN] === undefined) await (bundled ??= bundleCrashingAgent(folder));
  return [RUNNER, join(folder, BUNDLE)];
}

/** The path of the program, bundled as for production from the current sources, with the operators' page beside it. */
export async function builtProgram(): Promise<string> {
  const folder = builtFolder();
  if (process.env[BUILT_OF_RUN] === undefined) await (program ??= buildProgram(folder));
  return join(folder, PROGRAM, 'cli/main.js');
}

/**
 * The path of a file compiled to JavaScript from the current sources by the first call. It saves a process the second
 * that loading TypeScript takes.
 *
 * @param name the path from the working copy, with the extension `.js`
 */
export async function builtFile(name: string): Promise<string> {
  const folder = builtFolder();
  if (process.env[BUILT_OF_RUN] === undefined) await (compiled ??= compile(folder));
  const file = join(folder, name);
  if (!existsSync(file)) throw new Error(`The compiler did not make ${file}.`);
  return file;
}

/**
 * Builds what {@link builtFile}, {@link builtProgram} and {@link builtCrashingAgent} return, for all processes of a run.
 *
 * @param folder inside the working copy, where its imports find their packages
 */
export async function buildForTests(folder: string): Promise<void> {
  prepare(folder);
  try {
    await Promise.all([compile(folder), buildProgram(folder), bundleCrashingAgent(folder)]);
  } finally {
    // esbuild's process would otherwise outlive the run and be reported as left behind.
    await stop();
  }
}

function builtFolder(): string {
  const ofRun = process.env[BUILT_OF_RUN];
  if (ofRun !== undefined) return ofRun;
  if (folderOfProcess === undefined) {
    const folder = join(testFolder(), unique('built'));
    prepare(folder);
    addRunCleanup(() => rmSync(folder, { recursive: true, force: true }));
    folderOfProcess = folder;
  }
  return folderOfProcess;
}

async function buildProgram(folder: string): Promise<void> {
  const dist = join(folder, PROGRAM);
  await Promise.all([bundleProgram(dist), bundlePage(dist)]);
}

/** Provides what the code reads of its package: package.json and config/. */
function prepare(folder: string): void {
  mkdirSync(folder, { recursive: true });
  copyFileSync('package.json', join(folder, 'package.json'));
  symlinkSync(resolve('config'), join(folder, 'config'));
}

/** Compiles without type checks, so that a type error in one test does not fail another. */
async function compile(folder: string): Promise<void> {
  const options = ['--noCheck', '--noEmit', 'false', '--allowImportingTsExtensions', 'false', '--sourceMap'];
  const places = ['-p', 'tsconfig.json', '--rootDir', '.', '--outDir', folder];
  await new Promise<void>((settle) => {
    execFile(process.execPath, [COMPILER, ...places, ...options], (_error, stdout, stderr) => {
      if (stdout + stderr !== '') process.stderr.write(`The compiler printed:\n${stdout}${stderr}`);
      settle();
    });
  });
}

async function bundleCrashingAgent(folder: string): Promise<void> {
  const file = join(folder, BUNDLE);
  await build({
    entryPoints: ['test/support/crashing-agent.ts'],
    outfile: file,
    bundle: true,
    format: 'cjs',
    platform: 'node',
    target: 'node20',
    // lmdb loads its native part from its own folder.
    external: ['lmdb'],
    define: { 'import.meta.url': 'fileUrl' },
    banner: { js: "const fileUrl = require('node:url').pathToFileURL(__filename).href;" },
    // Less to read at each start; identifiers stay readable in stack traces.
    minifyWhitespace: true,
    minifySyntax: true,
    // amqplib reads a stack trace at each start, and a source map of all packages takes longer to load than the agent.
    sourcemap: false,
    legalComments: 'none',
    logLevel: 'error',
  });
  await promisify(execFile)(process.execPath, [RUNNER, file, '--make']);
}
