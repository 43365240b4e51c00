import { execFile } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, rmSync, symlinkSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { addRunCleanup } from './cleanup.ts';
import { testFolder, unique } from './folders.ts';

const COMPILER = 'node_modules/typescript/bin/tsc';

let built: Promise<{ folder: string; output: string }> | undefined;

/**
 * The path of `crashing-agent.ts` in JavaScript, made from the present sources when the first test asks for it. Loading
 * the agent from TypeScript costs a second more of each start, and tests of crashes start dozens.
 */
export async function builtCrashingAgent(): Promise<string> {
  return await builtFile('test/support/crashing-agent.js');
}

/** The path of the command line in JavaScript, likewise. */
export async function builtCommandLine(): Promise<string> {
  return await builtFile('src/cli/main.js');
}

async function builtFile(name: string): Promise<string> {
  built ??= build();
  const { folder, output } = await built;
  const file = join(folder, name);
  if (!existsSync(file)) throw new Error(`The compiler did not make ${file}:\n${output}`);
  return file;
}

async function build(): Promise<{ folder: string; output: string }> {
  // Inside the working copy, where its imports find their packages.
  const folder = join(testFolder(), unique('built'));
  mkdirSync(folder, { recursive: true });
  addRunCleanup(() => rmSync(folder, { recursive: true, force: true }));
  const output = await compile(folder);
  // What the code reads of the package it is part of.
  copyFileSync('package.json', join(folder, 'package.json'));
  symlinkSync(resolve('config'), join(folder, 'config'));
  return { folder, output };
}

/** Translates without looking at types, so that a fault of type in some test is no fault of this one. */
async function compile(folder: string): Promise<string> {
  const options = ['--noCheck', '--noEmit', 'false', '--allowImportingTsExtensions', 'false', '--sourceMap'];
  const places = ['-p', 'tsconfig.json', '--rootDir', '.', '--outDir', folder];
  return await new Promise((settle) => {
    execFile(process.execPath, [COMPILER, ...places, ...options], (_error, stdout, stderr) => settle(stdout + stderr));
  });
}
