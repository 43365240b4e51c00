import { execFile } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, rmSync, symlinkSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { build, stop } from 'esbuild';
import { bundleProgram } from '../../dev/bundle-program.ts';
import { addRunCleanup } from './cleanup.ts';
import { testFolder, unique } from './folders.ts';

const COMPILER = 'node_modules/typescript/bin/tsc';

/** The variable with the folder of {@link buildForTests} that all processes of a run share. */
export const BUILT_OF_RUN = 'PULSE_AGENT_TEST_BUILT';

const RUNNER = 'test/support/run-with-code-cache.cjs';

/** Both are as deep as the sources are in the package, so that the code finds what it reads of that. */
const BUNDLE = 'bundled/crashing-agent.cjs';
const PROGRAM = 'dist';

let folderOfProcess: string | undefined;
let translated: Promise<void> | undefined;
let bundled: Promise<void> | undefined;
let program: Promise<void> | undefined;

/**
 * The arguments with which Node runs `crashing-agent.ts` as one file with all its packages, made from the present sources
 * when the first test of the run asks for it. It starts in a third of the time that its modules take, and tests of crashes
 * start it two hundred times.
 */
export async function builtCrashingAgent(): Promise<readonly string[]> {
  const folder = builtFolder();
  if (process.env[BUILT_OF_RUN] === undefined) await (bundled ??= bundleCrashingAgent(folder));
  return [RUNNER, join(folder, BUNDLE)];
}

/** The path of the program, built as it is for production, but from the present sources. */
export async function builtProgram(): Promise<string> {
  const folder = builtFolder();
  if (process.env[BUILT_OF_RUN] === undefined) await (program ??= bundleProgram(join(folder, PROGRAM)));
  return join(folder, PROGRAM, 'cli/main.js');
}

/**
 * The path of a file in JavaScript, made from the present sources when the first test of the run asks for one. Loading
 * from TypeScript costs a process a second more of its start.
 *
 * @param name from the working copy on, with the ending `.js`
 */
export async function builtFile(name: string): Promise<string> {
  const folder = builtFolder();
  if (process.env[BUILT_OF_RUN] === undefined) await (translated ??= translate(folder));
  const file = join(folder, name);
  if (!existsSync(file)) throw new Error(`The compiler did not make ${file}.`);
  return file;
}

/**
 * Makes all that {@link builtFile}, {@link builtProgram} and {@link builtCrashingAgent} give, for the processes of a run.
 *
 * @param folder inside the working copy, where its imports find their packages
 */
export async function buildForTests(folder: string): Promise<void> {
  prepare(folder);
  try {
    await Promise.all([translate(folder), bundleProgram(join(folder, PROGRAM)), bundleCrashingAgent(folder)]);
  } finally {
    // Its process would go on for as long as this one, and count as left behind.
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

/** What the code reads of the package that it is part of. */
function prepare(folder: string): void {
  mkdirSync(folder, { recursive: true });
  copyFileSync('package.json', join(folder, 'package.json'));
  symlinkSync(resolve('config'), join(folder, 'config'));
}

/** Translates without looking at types, so that a fault of type in some test is no fault of this one. */
async function translate(folder: string): Promise<void> {
  const options = ['--noCheck', '--noEmit', 'false', '--allowImportingTsExtensions', 'false', '--sourceMap'];
  const places = ['-p', 'tsconfig.json', '--rootDir', '.', '--outDir', folder];
  await new Promise<void>((settle) => {
    execFile(process.execPath, [COMPILER, ...places, ...options], (_error, stdout, stderr) => {
      if (stdout + stderr !== '') process.stderr.write(`The compiler says:\n${stdout}${stderr}`);
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
    // It finds its native part beside itself.
    external: ['lmdb'],
    define: { 'import.meta.url': 'fileUrl' },
    banner: { js: "const fileUrl = require('node:url').pathToFileURL(__filename).href;" },
    // Less to read at each start; names stay, for its stacks.
    minifyWhitespace: true,
    minifySyntax: true,
    // A map of all packages takes longer to read than the agent to start, and amqplib looks at a stack at each start.
    sourcemap: false,
    legalComments: 'none',
    logLevel: 'error',
  });
  await promisify(execFile)(process.execPath, [RUNNER, file, '--make']);
}
