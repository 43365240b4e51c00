import { spawn } from 'node:child_process';
import { addCleanup } from './cleanup.ts';
import { collectOutput, type ExitStatus } from './process-output.ts';

/** A shell that goes on, with all that it has started, as in a terminal. */
export interface ShellSession {
  /** Resolves when this was printed; rejects when the shell ends first or it takes too long. */
  printed(text: string | RegExp, patienceMs?: number): Promise<void>;
  /** All that was printed so far, on both streams. */
  readonly output: () => string;
  /** Ctrl-C, or another signal to everything that runs in it; resolves with the exit code. */
  interrupt(signal?: NodeJS.Signals): Promise<ExitStatus>;
}

const PATIENCE_MS = 120_000;

/** Runs this in bash; it is killed after the test, or the run, at the latest. */
export function openShell(
  text: string,
  { env = {}, cwd }: { readonly env?: Readonly<Record<string, string>>; readonly cwd?: string } = {},
): ShellSession {
  const child = spawn('bash', ['-euo', 'pipefail', '-c', text], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
    // A process group of its own, as a terminal makes one.
    detached: true,
    ...(cwd === undefined ? {} : { cwd }),
  });
  const { output, hasExited: over, exited: ended, waitFor: wait } = collectOutput(child);
  const signalAll = (signal: NodeJS.Signals): void => {
    if (child.pid !== undefined && !over()) process.kill(-child.pid, signal);
  };
  addCleanup(async () => {
    signalAll('SIGKILL');
    await ended;
  });
  return {
    output,
    printed: (wanted, patienceMs = PATIENCE_MS) => wait(wanted, { stream: 'output', patienceMs }),
    interrupt(signal = 'SIGINT') {
      signalAll(signal);
      return ended;
    },
  };
}
