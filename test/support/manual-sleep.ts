import type { Sleep } from '../../src/util/clock.ts';

/** The pauses of something that is read again and again: each ends when a test says so. */
export interface ManualSleep {
  readonly sleep: Sleep;
  /** Starts it unless it runs, or ends its pause; resolves at the next one, when a reading is done. */
  readonly readNext: (polled: { start(): void }) => Promise<void>;
}

/** Makes a sleep that never ends by itself. */
export function createManualSleep(): ManualSleep {
  let endPause = (): void => undefined;
  let onPause = (): void => undefined;
  return {
    sleep: (_ms, signal) =>
      new Promise((resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
        endPause = resolve;
        onPause();
      }),
    readNext: async (polled) => {
      const paused = new Promise<void>((resolve) => (onPause = resolve));
      polled.start();
      endPause();
      await paused;
    },
  };
}
