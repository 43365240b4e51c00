import { runProgram } from '../src/cli/program.ts';

/** What the owner of a queue watches. */
export interface WatchedQueue {
  readonly namespace: string;
  readonly queue: string;
  /** The environment of a client that may ask. */
  readonly environment: Readonly<Record<string, string>>;
}

// oxlint-disable-next-line no-control-regex
const TERMINAL_CODES = /\u001b\[[0-9;?]*[A-Za-z]/g;

/**
 * Runs `pulse-agent status <namespace> --watch 1s` as on a terminal until a row of the queue is as wanted, and prints the
 * rows, which the command shows one after the other in the same place.
 *
 * @throws Error when the command ends before
 */
export async function watchQueue(
  { namespace, queue, environment }: WatchedQueue,
  isEnough: (row: string) => boolean,
  print: (line: string) => void,
  signal: AbortSignal,
): Promise<void> {
  const enough = new AbortController();
  let shownTitle = '';
  let shown = '';
  let failure = '';
  const draw = (text: string): void => {
    const lines = text.replaceAll(TERMINAL_CODES, '').split('\n');
    const at = lines.findIndex((line) => line.startsWith('QUEUE'));
    const title = lines[at] ?? '';
    const row = lines.find((line, index) => index > at && line.startsWith(queue)) ?? '';
    if (at === -1 || row === '' || row === shown) return;
    if (title !== shownTitle) print(title);
    print(row);
    shownTitle = title;
    shown = row;
    if (isEnough(row)) enough.abort(new Error('It has shown enough.'));
  };
  await runProgram(['status', namespace, '--watch', '1s'], {
    env: environment,
    stdout: { isTTY: true, write: draw },
    stderr: { write: (text) => (failure += text) },
    signal: AbortSignal.any([signal, enough.signal]),
  });
  signal.throwIfAborted();
  if (!enough.signal.aborted) throw new Error(`pulse-agent status ended: ${failure}`);
}
