import { setMaxListeners } from 'node:events';
import { within } from '../util/clock.ts';
import type { Log } from '../util/log.ts';

/** Work that nobody waits for but a stopping agent. */
export interface BackgroundTasks {
  /** Begins it. What it throws is in the log: whoever begins it has somebody else find what was not done. */
  run(name: string, work: (signal: AbortSignal) => Promise<void>): void;
  /**
   * Aborts what is under way and resolves when it has ended, after `patienceMs` at the latest; what is begun later ends at
   * once.
   */
  stop(patienceMs: number): Promise<void>;
}

/** Starts without work. */
export function createBackgroundTasks(log: Log): BackgroundTasks {
  const stopping = new AbortController();
  // Many calls of the broker listen to it at once.
  setMaxListeners(0, stopping.signal);
  const underWay = new Set<Promise<void>>();
  return {
    run(name, work) {
      const done = work(stopping.signal)
        .catch((error: unknown) => {
          if (!stopping.signal.aborted)
            log.warn({ code: 'background_task_failed', err: error, work: name }, 'background task failed');
        })
        .finally(() => underWay.delete(done));
      underWay.add(done);
    },
    async stop(patienceMs) {
      stopping.abort(new Error('The agent stops.'));
      await within(patienceMs, Promise.all(underWay));
    },
  };
}
