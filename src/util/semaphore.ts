/** Frees the place that was taken; calling it again does nothing. */
export type Release = () => void;

/** A limit on how much runs at a time; the rest waits in order of arrival. */
export interface Semaphore {
  /** Takes a place if one is free. */
  tryAcquire(): Release | undefined;
  /**
   * Waits for a free place.
   *
   * @throws The signal's reason when it is aborted first; the error of `maxWaiting` when too many wait already.
   */
  acquire(signal?: AbortSignal): Promise<Release>;
  /** How many places are taken now. */
  readonly running: number;
  /** How many wait now. */
  readonly waiting: number;
}

interface SemaphoreOptions {
  /** How many may wait; any number when absent. */
  readonly maxWaiting?: number;
  /** Makes the error for one more than `maxWaiting`. */
  readonly makeError?: (semaphore: Pick<Semaphore, 'running' | 'waiting'>) => Error;
}

/**
 * A semaphore with `limit` places.
 *
 * @example
 * const release = await semaphore.acquire(signal);
 * try { await work(); } finally { release(); }
 */
export function createSemaphore(limit: number, options: SemaphoreOptions = {}): Semaphore {
  const { maxWaiting = Infinity, makeError = () => new Error('too many wait already') } = options;
  let running = 0;
  // A Set keeps the order of arrival, and an aborted one leaves from the middle at no cost.
  const queue = new Set<(release: Release) => void>();

  const makeRelease = (): Release => {
    let released = false;
    return () => {
      if (released) return;
      released = true;
      const [next] = queue;
      if (next === undefined) {
        running -= 1;
        return;
      }
      queue.delete(next);
      next(makeRelease());
    };
  };

  const wait = (signal: AbortSignal | undefined): Promise<Release> =>
    new Promise((resolve, reject) => {
      const onAbort = (): void => {
        queue.delete(onPlace);
        reject(signal?.reason);
      };
      const onPlace = (release: Release): void => {
        signal?.removeEventListener('abort', onAbort);
        resolve(release);
      };
      queue.add(onPlace);
      signal?.addEventListener('abort', onAbort, { once: true });
    });

  const semaphore: Semaphore = {
    tryAcquire() {
      if (running >= limit) return undefined;
      running += 1;
      return makeRelease();
    },
    async acquire(signal) {
      signal?.throwIfAborted();
      const release = semaphore.tryAcquire();
      if (release !== undefined) return release;
      if (queue.size >= maxWaiting) throw makeError(semaphore);
      return await wait(signal);
    },
    get running() {
      return running;
    },
    get waiting() {
      return queue.size;
    },
  };
  return semaphore;
}
