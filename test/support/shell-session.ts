import { spawn } from 'node:child_process';
import { addCleanup } from './cleanup.ts';

/** A shell that goes on, with all that it has started, as in a terminal. */
export interface ShellSession {
  /** Resolves when this was printed; rejects when the shell ends first or it takes too long. */
  printed(text: string | RegExp, patienceMs?: number): Promise<void>;
  /** All that was printed so far, on both streams. */
  readonly output: () => string;
  /** Ctrl-C, or another signal to everything that runs in it; resolves with the exit code. */
  interrupt(signal?: NodeJS.Signals): Promise<number | NodeJS.Signals | null>;
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
  let output = '';
  let over = false;
  const listeners = new Set<() => void>();
  const wake = (): void => {
    for (const listener of listeners) listener();
  };
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (more: string) => {
      output += more;
      wake();
    });
  }
  const ended = new Promise<number | NodeJS.Signals | null>((resolve) => {
    child.once('close', (code, signal) => {
      over = true;
      wake();
      resolve(code ?? signal);
    });
  });
  const signalAll = (signal: NodeJS.Signals): void => {
    if (child.pid !== undefined && !over) process.kill(-child.pid, signal);
  };
  addCleanup(async () => {
    signalAll('SIGKILL');
    await ended;
  });
  const holds = (wanted: string | RegExp): boolean =>
    typeof wanted === 'string' ? output.includes(wanted) : wanted.test(output);
  return {
    output: () => output,
    printed: (wanted, patienceMs = PATIENCE_MS) =>
      new Promise((resolve, reject) => {
        const settle = (error?: Error): void => {
          clearTimeout(timer);
          listeners.delete(look);
          if (error === undefined) resolve();
          else reject(error);
        };
        const look = (): void => {
          if (holds(wanted)) settle();
          else if (over) settle(new Error(`The shell ended without printing ${String(wanted)}:\n${output}`));
        };
        const timer = setTimeout(
          () => settle(new Error(`${String(wanted)} was not printed in ${patienceMs} ms:\n${output}`)),
          patienceMs,
        );
        listeners.add(look);
        look();
      }),
    interrupt(signal = 'SIGINT') {
      signalAll(signal);
      return ended;
    },
  };
}
