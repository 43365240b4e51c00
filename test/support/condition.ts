/** How long a wait takes at most, in ms: longer than a busy machine takes for anything. */
const PATIENCE_MS = 60_000;

/** How {@link Condition.wait} ends when nothing is found. */
export interface WaitOptions {
  /** The message of the failure after `patienceMs`. */
  readonly failure: () => string;
  /** A minute when absent. */
  readonly patienceMs?: number | undefined;
  /** Rejects with its reason when it aborts. */
  readonly signal?: AbortSignal | undefined;
}

/** A condition variable: waiters check again whenever `notify` is called. */
export interface Condition {
  notify(): void;
  /** Resolves with what `find` returns, as soon as that is not undefined; rejects with what it throws. */
  wait<Found>(find: () => Found | undefined, options: WaitOptions): Promise<Found>;
}

/** Makes a condition that nothing waits for yet. */
export function createCondition(): Condition {
  const checks = new Set<() => void>();
  return {
    notify() {
      for (const check of checks) check();
    },
    wait: (find, { failure, patienceMs = PATIENCE_MS, signal }) =>
      new Promise((resolve, reject) => {
        const settle = (): void => {
          clearTimeout(timer);
          checks.delete(check);
          signal?.removeEventListener('abort', abort);
        };
        const fail = (error: Error): void => {
          settle();
          reject(error);
        };
        const abort = (): void => fail(signal?.reason as Error);
        const check = (): void => {
          try {
            const found = find();
            if (found === undefined) return;
            settle();
            resolve(found);
          } catch (error) {
            fail(error as Error);
          }
        };
        const timer = setTimeout(() => fail(new Error(failure())), patienceMs);
        checks.add(check);
        signal?.addEventListener('abort', abort);
        check();
      }),
  };
}
