import { type ChildProcessByStdio, spawn } from 'node:child_process';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { builtCommandLine } from './built-agent.ts';
import { addCleanup } from './cleanup.ts';

/** A run of the command line as a process of its own. */
export interface CommandRun {
  /** Resolves when this text was printed on standard output; rejects when the process ends first. */
  printed(text: string): Promise<void>;
  /** What was printed so far. */
  readonly stdout: () => string;
  readonly stderr: () => string;
  signal(signal: NodeJS.Signals): void;
  /** Resolves with the exit code, or the signal that ended it. */
  readonly ended: Promise<number | NodeJS.Signals | null>;
}

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));

/** Runs `pulse-agent <args>` as it is built from the present sources. */
export async function runBuiltCommandLine(
  args: readonly string[],
  environment: Readonly<Record<string, string>>,
): Promise<CommandRun> {
  return run([await builtCommandLine(), ...args], environment);
}

/** Runs `pulse-agent <args>` with this environment and nothing else of one's own; it is killed after the test at the latest. */
export function runCommandLine(args: readonly string[], environment: Readonly<Record<string, string>>): CommandRun {
  return run(['--import', 'tsx', MAIN, ...args], environment);
}

function run(args: readonly string[], environment: Readonly<Record<string, string>>): CommandRun {
  const { PATH, TMPDIR } = process.env;
  const child: ChildProcessByStdio<null, Readable, Readable> = spawn(process.execPath, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH, ...(TMPDIR === undefined ? {} : { TMPDIR }), ...environment },
  });
  let stdout = '';
  let stderr = '';
  const listeners = new Set<() => void>();
  const wake = (): void => {
    for (const listener of listeners) listener();
  };
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
    wake();
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  let over = false;
  const ended = new Promise<number | NodeJS.Signals | null>((resolve) => {
    // `close` comes when all that it wrote has been read.
    child.once('close', (code, signal) => {
      over = true;
      wake();
      resolve(code ?? signal);
    });
  });
  addCleanup(async () => {
    if (!over) child.kill('SIGKILL');
    await ended;
  });
  return {
    stdout: () => stdout,
    stderr: () => stderr,
    signal: (signal) => void child.kill(signal),
    ended,
    printed: (text) =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          if (!stdout.includes(text) && !over) return;
          listeners.delete(look);
          if (stdout.includes(text)) resolve();
          else reject(new Error(`The process ended without printing "${text}": ${stdout}${stderr}`));
        };
        listeners.add(look);
        look();
      }),
  };
}
