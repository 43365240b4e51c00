import { AgentError } from './agent-errors.ts';

/** Lets a few calls run at once and a few more wait for them, first come, first served. */
export interface CallLimit {
  /** Takes a free place, where there is one. It gives what gives the place back. */
  tryEnter(): (() => void) | undefined;
  /**
   * Waits for a free place.
   *
   * @returns What gives the place back. Calling it again does nothing.
   * @throws AgentError AuthUnavailable when too many wait already; `signal.reason` when the signal aborts.
   */
  enter(signal: AbortSignal): Promise<() => void>;
  readonly running: number;
  readonly waiting: number;
}

/**
 * A limit of `atOnce` calls with at most `mayWait` waiting.
 *
 * The queue is bounded because requests past their deadline are of no use to anybody: to say no at once is cheaper.
 */
export function createCallLimit({ atOnce, mayWait }: { atOnce: number; mayWait: number }): CallLimit {
  // A set keeps the order and forgets one in the middle at once, when its signal aborts.
  const queue = new Set<() => void>();
  let running = 0;

  const place = (): (() => void) => {
    let given = false;
    return () => {
      if (given) return;
      given = true;
      const [next] = queue;
      if (next === undefined) running -= 1;
      else next();
    };
  };

  const wait = (signal: AbortSignal): Promise<() => void> =>
    new Promise((resolve, reject) => {
      const settle = (): void => {
        queue.delete(proceed);
        signal.removeEventListener('abort', giveUp);
      };
      const proceed = (): void => {
        settle();
        resolve(place());
      };
      const giveUp = (): void => {
        settle();
        reject(signal.reason);
      };
      queue.add(proceed);
      signal.addEventListener('abort', giveUp, { once: true });
    });

  const tryEnter = (): (() => void) | undefined => {
    if (running >= atOnce) return undefined;
    running += 1;
    return place();
  };

  return {
    tryEnter,
    async enter(signal) {
      signal.throwIfAborted();
      const leave = tryEnter();
      if (leave !== undefined) return leave;
      if (queue.size >= mayWait) {
        throw new AgentError(
          'AuthUnavailable',
          `${running} calls to the Taskcluster auth service run and ${queue.size} wait already. Try again later.`,
        );
      }
      return wait(signal);
    },
    get running() {
      return running;
    },
    get waiting() {
      return queue.size;
    },
  };
}
