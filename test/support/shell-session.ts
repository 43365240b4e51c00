import { spawn } from 'node:child_process';
import { addCleanup } from './cleanup.ts';
import { collectOutput, type ExitStatus } from './process-output.ts';

/** A running shell and the processes that it started, as in a terminal. */
export interface ShellSession {
  /** Resolves when the output has this; rejects when the shell exits first or it takes too long. */
  printed(text: string | RegExp, patienceMs?: number): Promise<void>;
  /** Everything printed so far, on both streams. */
  readonly output: () => string;
  /** Sends SIGINT, as Ctrl-C does, or another signal to all its processes; resolves with the exit code. */
  interrupt(signal?: NodeJS.Signals): Promise<ExitStatus>;
}

const PATIENCE_MS = 120_000;

/** Runs a script in bash. It is killed after the test, or after the file, at the latest. */
export function openShell(
  text: string,
  { env = {}, cwd }: { readonly env?: Readonly<Record<string, string>>; readonly cwd?: string } = {},
): ShellSession {
  const child = spawn('bash', ['-euo', 'pipefail', '-c', text], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
    // Its own process group, as in a terminal.
    detached: true,
    ...(cwd === undefined ? {} : { cwd }),
  });
  const { output, hasExited, exited, waitFor } = collectOutput(child);
  const signalAll = (signal: NodeJS.Signals): void => {
    if (child.pid !== undefined && !hasExited()) process.kill(-child.pid, signal);
  };
  addCleanup(async () => {
    signalAll('SIGKILL');
    await exited;
  });
  return {
    output,
    printed: (wanted, patienceMs = PATIENCE_MS) => waitFor(wanted, { stream: 'output', patienceMs }),
    interrupt(signal = 'SIGINT') {
      signalAll(signal);
      return exited;
    },
  };
}
