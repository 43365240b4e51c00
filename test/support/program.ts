import { type ChildProcessByStdio, spawn } from 'node:child_process';
import type { Readable } from 'node:stream';
import { addCleanup } from './cleanup.ts';

/** A program that a test runs beside the agent. */
export interface Program {
  /** Resolves when this was printed `times` times on either output; rejects when the program ends first, or is late. */
  printed(text: string, times?: number): Promise<void>;
  /** All that it printed so far. */
  readonly output: () => string;
  signal(signal: NodeJS.Signals): void;
  /** Resolves with the exit code, or the signal that ended it. */
  readonly ended: Promise<number | NodeJS.Signals | null>;
}

const PATIENCE_MS = 60_000;

/** Runs a program; it is killed after the test at the latest. */
export function runProgram(
  command: string,
  args: readonly string[],
  options: { readonly cwd: string; readonly env: NodeJS.ProcessEnv },
): Program {
  const child: ChildProcessByStdio<null, Readable, Readable> = spawn(command, args, {
    ...options,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  let over = false;
  const listeners = new Set<() => void>();
  const wake = (): void => {
    for (const listener of listeners) listener();
  };
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      wake();
    });
  }
  const ended = new Promise<number | NodeJS.Signals | null>((resolve, reject) => {
    child.once('error', reject);
    // `close` comes when all that it wrote has been read.
    child.once('close', (code, signal) => {
      over = true;
      wake();
      resolve(code ?? signal);
    });
  });
  ended.catch(() => undefined);
  addCleanup(async () => {
    if (!over) child.kill('SIGKILL');
    await ended.catch(() => undefined);
  });
  return {
    output: () => output,
    signal: (signal) => void child.kill(signal),
    ended,
    printed: (text, times = 1) =>
      new Promise((resolve, reject) => {
        const settle = (error?: Error): void => {
          clearTimeout(timer);
          listeners.delete(look);
          if (error === undefined) resolve();
          else reject(error);
        };
        const look = (): void => {
          if (output.split(text).length > times) settle();
          else if (over) settle(new Error(`The program ended without printing "${text}": ${output}`));
        };
        const timer = setTimeout(
          () => settle(new Error(`The program did not print "${text}" in ${PATIENCE_MS} ms: ${output}`)),
          PATIENCE_MS,
        );
        listeners.add(look);
        look();
      }),
  };
}
