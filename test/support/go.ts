import { copyFileSync, mkdirSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { runCommand } from '../../dev/commands.ts';
import { goEnvironment } from '../../dev/go-environment.ts';
import { findExecutable } from '../../dev/processes.ts';
import { skipBecause } from './skip.ts';

/** The folder of the client module for Go. */
export const GO_CLIENT = resolve('clients/go');

/** The Go command and the environment that build the module. */
export interface Go {
  readonly command: string;
  readonly env: NodeJS.ProcessEnv;
}

/** Finds Go, or skips. Its cache is shared with the build of FerretDB. */
export function prepareGo(context: Mocha.Context): Go {
  const command = findExecutable('go');
  if (command === undefined) skipBecause(context, 'there is no go on this machine');
  return { command, env: goEnvironment(resolve('.cache/ferretdb/go')) };
}

/** Builds the module's tests and returns the path of the program, which `go test` would build at each run. */
export async function buildGoTests({ command, env }: Go, folder: string): Promise<string> {
  mkdirSync(folder, { recursive: true });
  const program = join(folder, 'tests');
  await runCommand(command, ['test', '-c', '-o', program, '.'], { cwd: GO_CLIENT, env });
  return program;
}

/** Builds a program of one file, in `folder`, with the modules that the client module has; returns its path. */
export async function buildGoProgram({ command, env }: Go, file: string, folder: string): Promise<string> {
  for (const name of ['go.mod', 'go.sum']) copyFileSync(join(GO_CLIENT, name), join(folder, name));
  copyFileSync(file, join(folder, basename(file)));
  const program = join(folder, 'program');
  await runCommand(command, ['build', '-o', program, '.'], { cwd: folder, env });
  return program;
}
