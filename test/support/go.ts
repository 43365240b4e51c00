import { mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { runCommand } from '../../dev/commands.ts';
import { goEnvironment } from '../../dev/go-environment.ts';
import { findExecutable } from '../../dev/processes.ts';
import { skipBecause } from './skip.ts';

/** The folder of the Go example. */
export const GO_EXAMPLE = resolve('examples/go');

/** The Go command and the environment that build the example. */
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

/** Builds the example and returns the path of the program. */
export async function buildGo({ command, env }: Go, folder: string, name: string): Promise<string> {
  mkdirSync(folder, { recursive: true });
  const program = join(folder, name);
  await runCommand(command, ['build', '-o', program, '.'], { cwd: GO_EXAMPLE, env });
  return program;
}

/** Builds the example's tests and returns the path of the program, which `go test` would build at each run. */
export async function buildGoTests({ command, env }: Go, folder: string): Promise<string> {
  mkdirSync(folder, { recursive: true });
  const program = join(folder, 'tests');
  await runCommand(command, ['test', '-c', '-o', program, './pulseagent'], { cwd: GO_EXAMPLE, env });
  return program;
}
