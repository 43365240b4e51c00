import type { Sleep } from './clock.ts';
import { untilAborted } from './deadline.ts';

/** Something that is read again and again. */
export interface Polling {
  start(): void;
  /** Aborts a reading. One that takes no signal, as a call to the store, goes on and is not waited for. */
  close(): Promise<void>;
}

/**
 * Reads until it is closed, with a pause between two readings.
 *
 * @param read reports its own failures: the next reading comes after a failure, too
 * @param pauseMs asked after each reading
 */
export function createPolling(
  read: (signal: AbortSignal) => Promise<unknown>,
  pauseMs: () => number,
  sleep: Sleep,
): Polling {
  const closing = new AbortController();
  const { signal } = closing;
  let running: Promise<void> | undefined;
  const poll = async (): Promise<void> => {
    for (;;) {
      await untilAborted(read(signal), signal).catch(() => undefined);
      signal.throwIfAborted();
      await sleep(pauseMs(), signal);
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
