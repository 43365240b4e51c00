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
  const { output, hasExited: over, exited: ended, waitFor: wait } = collectOutput(child);
  addCleanup(async () => {
    if (!over()) child.kill('SIGKILL');
    await ended.catch(() => undefined);
  });
  return {
    output,
    signal: (signal) => void child.kill(signal),
    exited: ended,
    printed: (text, times = 1) => wait(text, { stream: 'output', times, patienceMs: PATIENCE_MS }),
  };
}
