/** Gives a place back; calling it again does nothing. */
export type Release = () => void;

/** A fixed number of places; who finds none free waits in order of arrival. */
export interface Semaphore {
  /**
   * Resolves when a place is free, with the function that gives it back. Rejects with the signal's reason when it is
   * aborted first.
   */
  enter(signal?: AbortSignal): Promise<Release>;
  /** How many wait now. */
  readonly waiting: number;
}

/**
 * Makes `count` places.
 *
 * @example
 * const leave = await places.enter(signal);
 * try { await work(); } finally { leave(); }
 */
export function createSemaphore(count: number): Semaphore {
  let free = count;
  // A Set keeps the order of arrival and lets an aborted one leave from the middle at no cost.
  const queue = new Set<(leave: Release) => void>();

  const makeLeave = (): Release => {
    let left = false;
    return () => {
      if (left) return;
      left = true;
      const next = queue.values().next();
      if (next.done) {
        free += 1;
        return;
      }
      queue.delete(next.value);
      next.value(makeLeave());
    };
  };

  return {
    get waiting() {
      return queue.size;
    },
    enter(signal) {
      if (signal?.aborted) return Promise.reject(signal.reason);
      if (free > 0) {
        free -= 1;
        return Promise.resolve(makeLeave());
      }
      return new Promise((resolve, reject) => {
        const onAbort = (): void => {
          queue.delete(onPlace);
          reject(signal?.reason);
        };
        const onPlace = (leave: Release): void => {
          signal?.removeEventListener('abort', onAbort);
          resolve(leave);
        };
        queue.add(onPlace);
        signal?.addEventListener('abort', onAbort, { once: true });
      });
    },
  };
}
