import { spawn } from 'node:child_process';
import { setPriority } from 'node:os';
import { createInterface } from 'node:readline';

/** How to run a command. */
export interface CommandOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  /** As in nice(1). */
  readonly niceness?: number;
  /** Called for each line of standard output. */
  readonly onLine?: (line: string) => void;
  readonly signal?: AbortSignal;
}

/**
 * Runs a command, waits for its exit and returns its standard output.
 *
 * @throws Error with the last five lines of its output when it fails
 */
export async function runCommand(
  command: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<string> {
  const child = spawn(command, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: options.env ?? process.env,
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  });
  if (child.pid !== undefined && options.niceness !== undefined) setPriority(child.pid, options.niceness);
  const output: string[] = [];
  const all: string[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => {
    output.push(line);
    all.push(line);
    options.onLine?.(line);
  });
  createInterface({ input: child.stderr }).on('line', (line) => all.push(line));
  await new Promise<void>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => {
      if (code === 0) resolve();
      else
        reject(new Error(`${command} ${args.join(' ')} exited with ${code ?? signal}: ${all.slice(-5).join(' | ')}`));
    });
  });
  return output.join('\n');
}
