import type { ChildProcess } from 'node:child_process';

/** How a process ended: its exit code, or the signal that ended it. */
export type ExitStatus = number | NodeJS.Signals | null;

/** What a process prints, from its start. */
export interface ProcessOutput {
  readonly stdout: () => string;
  readonly stderr: () => string;
  /** Both, in the order in which they came. */
  readonly output: () => string;
  /** Whether the process has ended. */
  readonly hasExited: () => boolean;
  /** Resolves when all that it printed has been read; rejects when it could not be started. */
  readonly exited: Promise<ExitStatus>;
  /**
   * Resolves when `stream` holds this, or holds it for the `times`-th time; rejects when the process ends first, or when
   * it takes longer than `patienceMs`.
   */
  readonly waitFor: (wanted: string | RegExp, options: WaitOptions) => Promise<void>;
}

/** Where to look, how often it has to be there, and for how long to wait. */
export interface WaitOptions {
  readonly stream: 'stdout' | 'output';
  readonly times?: number;
  readonly patienceMs: number;
}

/** Collects what a child process prints on both of its streams, which have to be pipes. */
export function collectOutput(child: ChildProcess): ProcessOutput {
  const texts = { stdout: '', stderr: '', output: '' };
  let over = false;
  const listeners = new Set<() => void>();
  const wake = (): void => {
    for (const listener of listeners) listener();
  };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name]?.setEncoding('utf8').on('data', (text: string) => {
      texts[name] += text;
      texts.output += text;
      wake();
    });
  }
  const ended = new Promise<ExitStatus>((resolve, reject) => {
    child.once('error', reject);
    // `close` comes when all that it wrote has been read.
    child.once('close', (code, signal) => {
      over = true;
      wake();
      resolve(code ?? signal);
    });
  });
  ended.catch(() => undefined);
  return {
    stdout: () => texts.stdout,
    stderr: () => texts.stderr,
    output: () => texts.output,
    hasExited: () => over,
    exited: ended,
    waitFor: (wanted, { stream, times = 1, patienceMs }) =>
      new Promise((resolve, reject) => {
        const settle = (complaint?: string): void => {
          clearTimeout(timer);
          listeners.delete(look);
          if (complaint === undefined) resolve();
          else reject(new Error(`${complaint}: ${texts.output}`));
        };
        const look = (): void => {
          if (count(texts[stream], wanted) >= times) settle();
          else if (over) settle(`The process ended without printing ${String(wanted)}`);
        };
        const timer = setTimeout(
          () => settle(`The process did not print ${String(wanted)} in ${patienceMs} ms`),
          patienceMs,
        );
        listeners.add(look);
        look();
      }),
  };
}

function count(text: string, wanted: string | RegExp): number {
  if (typeof wanted === 'string') return text.split(wanted).length - 1;
  return wanted.test(text) ? 1 : 0;
}
