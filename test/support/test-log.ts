/** What an agent logs in a test. */
export interface TestLog {
  /** Oldest first. */
  readonly lines: string[];
  /** For the options of `createLog`. */
  readonly write: (line: string) => void;
  /** Waits for a line in which all of these occur. */
  readonly logged: (...texts: readonly string[]) => Promise<string>;
  /** Waits until something is found in the log; rejects when that takes too long, or with the signal's reason. */
  readonly found: <Found>(
    find: (lines: readonly string[]) => Found | undefined,
    signal?: AbortSignal,
  ) => Promise<Found>;
}

const PATIENCE_MS = 60_000;

/** How many lines the message of a failure has. */
const LAST_LINES = 20;

/** Collects what is logged, and wakes who waits for it. */
export function createTestLog(): TestLog {
  const lines: string[] = [];
  const listeners = new Set<() => void>();
  const found: TestLog['found'] = (find, signal) =>
    new Promise((resolve, reject) => {
      const settle = (): void => {
        clearTimeout(timer);
        listeners.delete(look);
        signal?.removeEventListener('abort', give);
      };
      const look = (): void => {
        const wanted = find(lines);
        if (wanted === undefined) return;
        settle();
        resolve(wanted);
      };
      const give = (): void => {
        settle();
        reject(signal?.reason as Error);
      };
      const timer = setTimeout(() => {
        settle();
        reject(new Error(`No such line was logged in ${PATIENCE_MS} ms:\n${lines.slice(-LAST_LINES).join('')}`));
      }, PATIENCE_MS);
      listeners.add(look);
      signal?.addEventListener('abort', give);
      look();
    });
  return {
    lines,
    write(line) {
      lines.push(line);
      for (const listener of listeners) listener();
    },
    found,
    logged: (...texts) => found((all) => all.find((line) => texts.every((text) => line.includes(text)))),
  };
}
