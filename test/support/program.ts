import { spawn } from 'node:child_process';
import { addCleanup } from './cleanup.ts';
import { collectOutput, type ExitStatus } from './process-output.ts';

/** A program that a test runs beside the agent. */
export interface Program {
  /** Resolves when either output has this `times` times; rejects when the program exits first, or after a minute. */
  printed(text: string, times?: number): Promise<void>;
  /** Everything printed so far, on both outputs. */
  readonly output: () => string;
  signal(signal: NodeJS.Signals): void;
  /** Resolves with the exit code, or the signal that ended the program. */
  readonly exited: Promise<ExitStatus>;
}

const PATIENCE_MS = 60_000;

/** Starts a program. It is killed after the test at the latest. */
export function runProgram(
  command: string,
  args: readonly string[],
  options: { readonly cwd: string; readonly env: NodeJS.ProcessEnv },
): Program {
  const child = spawn(command, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
  const { output, hasExited, exited, waitFor } = collectOutput(child);
  addCleanup(async () => {
    if (!hasExited()) child.kill('SIGKILL');
    await exited.catch(() => undefined);
  });
  return {
    output,
    signal: (signal) => void child.kill(signal),
    exited,
    printed: (text, times = 1) => waitFor(text, { stream: 'output', times, patienceMs: PATIENCE_MS }),
  };
}
