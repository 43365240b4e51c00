import type { Sleep } from './clock.ts';

/** Something that is read again and again. */
export interface Polling {
  start(): void;
  /** Aborts a reading and resolves when it has ended. */
  close(): Promise<void>;
}

/**
 * Reads until it is closed, with a pause between two readings.
 *
 * @param read reports its own failures: the next reading comes after a failure, too
 */
export function createPolling(read: (signal: AbortSignal) => Promise<unknown>, pauseMs: number, sleep: Sleep): Polling {
  const closing = new AbortController();
  const { signal } = closing;
  let running: Promise<void> | undefined;
  const poll = async (): Promise<void> => {
    while (!signal.aborted) {
      await read(signal).catch(() => undefined);
      await sleep(pauseMs, signal);
    }
  };
  return {
    start() {
      running ??= poll().catch(() => undefined);
    },
    async close() {
      closing.abort(new Error('The agent stops.'));
      await running;
    },
  };
}
