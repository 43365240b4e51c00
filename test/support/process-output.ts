import type { ChildProcess } from 'node:child_process';
import { createCondition } from './condition.ts';

/** How a process ended: its exit code, or the signal that ended it. */
export type ExitStatus = number | NodeJS.Signals | null;

/** What a process prints, from its start. */
export interface ProcessOutput {
  readonly stdout: () => string;
  readonly stderr: () => string;
  /** Both, in the order in which they came. */
  readonly output: () => string;
  readonly hasExited: () => boolean;
  /** Resolves after the exit, when all output has been read; rejects when the process could not be started. */
  readonly exited: Promise<ExitStatus>;
  /** Resolves when a stream has the text, `times` times; rejects when the process exits first, or after `patienceMs`. */
  readonly waitFor: (wanted: string | RegExp, options: OutputWaitOptions) => Promise<void>;
}

interface OutputWaitOptions {
  readonly stream: 'stdout' | 'output';
  readonly times?: number;
  readonly patienceMs: number;
}

/** Collects what a child process prints on both of its streams, which have to be pipes. */
export function collectOutput(child: ChildProcess): ProcessOutput {
  const texts = { stdout: '', stderr: '', output: '' };
  let hasExited = false;
  const condition = createCondition();
  for (const name of ['stdout', 'stderr'] as const) {
    child[name]?.setEncoding('utf8').on('data', (text: string) => {
      texts[name] += text;
      texts.output += text;
      condition.notify();
    });
  }
  const exited = new Promise<ExitStatus>((resolve, reject) => {
    child.once('error', reject);
    // Unlike `exit`, `close` comes when all output has been read.
    child.once('close', (code, signal) => {
      hasExited = true;
      condition.notify();
      resolve(code ?? signal);
    });
  });
  exited.catch(() => undefined);
  return {
    stdout: () => texts.stdout,
    stderr: () => texts.stderr,
    output: () => texts.output,
    hasExited: () => hasExited,
    exited,
    async waitFor(wanted, { stream, times = 1, patienceMs }) {
      const isThere = (): true | undefined => {
        if (count(texts[stream], wanted) >= times) return true;
        if (hasExited) throw new Error(`The process exited without printing ${String(wanted)}: ${texts.output}`);
        return undefined;
      };
      const failure = (): string => `The process did not print ${String(wanted)} in ${patienceMs} ms: ${texts.output}`;
      await condition.wait(isThere, { failure, patienceMs });
    },
  };
}

function count(text: string, wanted: string | RegExp): number {
  if (typeof wanted === 'string') return text.split(wanted).length - 1;
  return wanted.test(text) ? 1 : 0;
}
