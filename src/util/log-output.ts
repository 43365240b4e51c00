import { pino } from 'pino';

/** Where a log goes. */
export interface LogOutput {
  write(line: string): void;
  /** Writes what is still held back. */
  flush(): void;
}

/**
 * Writes the lines of one turn of the event loop together: with a system call for each line, the line of a request took 5 %
 * of the CPU of a claim. What a turn has logged is written before the loop waits for anything.
 */
export function gatherLines(
  write: (text: string) => void,
  schedule: (flush: () => void) => void = setImmediate,
): LogOutput {
  let text = '';
  const flush = (): void => {
    if (text === '') return;
    const lines = text;
    text = '';
    write(lines);
  };
  return {
    write(line) {
      if (text === '') schedule(flush);
      text += line;
    },
    flush,
  };
}

/** Standard output for the log of an agent. An exit writes the rest, an uncaught error included. */
export function openLogOutput(): LogOutput {
  const stdout = pino.destination({ dest: 1, sync: true });
  const output = gatherLines((text) => stdout.write(text));
  process.once('exit', () => output.flush());
  return output;
}
