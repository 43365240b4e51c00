import { setMaxListeners } from 'node:events';
import type { Clock } from '../util/clock.ts';
import { waitAtMost } from '../util/deadline.ts';
import type { Log } from '../util/log.ts';

/** Something with an end: a connection, a server, a store. */
export interface Part {
  /** Takes no new work and finishes what is in hand, within `timeoutMs`. */
  drain?(timeoutMs: number): Promise<void> | void;
  /** Releases what it holds. */
  close(): Promise<void> | void;
}

/** The one way in which an agent stops, and in which a failed start cleans up. */
export interface Lifecycle {
  /** Registers a part: it closes before all parts that were registered earlier. Returns it. */
  use<P extends Part>(part: P): P;
  /** As {@link use}, for parts that close concurrently: each may wait for an answer that does not come. */
  useTogether(...parts: readonly Part[]): void;
  /**
   * Starts a fire-and-forget task, which only a stop waits for. A task that throws is logged; a periodic job has to pick
   * up its work. A task that starts after the stop gets an aborted signal.
   */
  runInBackground(name: string, task: (signal: AbortSignal) => Promise<void>): void;
  /** Drains all parts concurrently, then aborts the background tasks and waits for them: `timeoutMs` in all. */
  drain(timeoutMs: number): Promise<void>;
  /** Closes all parts, each once, whatever fails; rejects with the first failure. */
  close(): Promise<void>;
}

/** What remains for the background tasks of a lifecycle whose deadline has passed, or that never drained, in ms. */
const MIN_TASK_TIMEOUT_MS = 250;

/** Creates a lifecycle without parts. */
export function createLifecycle({ log, clock }: { readonly log: Log; readonly clock: Clock }): Lifecycle {
  const stages: (readonly Part[])[] = [];
  const tasks = new Set<Promise<void>>();
  const stopping = new AbortController();
  // Every call to the broker that a task makes listens to it.
  setMaxListeners(0, stopping.signal);

  const stopTasks = async (timeoutMs: number): Promise<void> => {
    stopping.abort(new Error('The agent stops.'));
    await waitAtMost(Math.max(MIN_TASK_TIMEOUT_MS, timeoutMs), Promise.all(tasks));
  };

  return {
    use(part) {
      stages.push([part]);
      return part;
    },
    useTogether: (...parts) => void stages.push(parts),
    runInBackground(name, task) {
      const done = task(stopping.signal)
        .catch((error: unknown) => {
          if (stopping.signal.aborted) return;
          log.warn({ code: 'background_task_failed', err: error, task: name }, 'background task failed');
        })
        .finally(() => tasks.delete(done));
      tasks.add(done);
    },
    async drain(timeoutMs) {
      const deadlineMs = clock.monotonicMs() + timeoutMs;
      await Promise.all(stages.flat().map(async (part) => await part.drain?.(timeoutMs)));
      await stopTasks(deadlineMs - clock.monotonicMs());
    },
    async close() {
      await stopTasks(0);
      const failures: unknown[] = [];
      for (const parts of stages.splice(0).toReversed()) {
        const outcomes = await Promise.allSettled(parts.map(async (part) => await part.close()));
        for (const outcome of outcomes) if (outcome.status === 'rejected') failures.push(outcome.reason);
      }
      if (failures.length > 0) throw failures[0];
    },
  };
}
