/** The end of the time for one piece of work: its own, or an earlier one that a signal sets. */
export interface Deadline {
  readonly passed: boolean;
  /** Aborts when the time is up. */
  readonly signal: AbortSignal;
  /** The outcome of `work`, or a rejection when the time is up first. The work itself goes on. */
  race<T>(work: Promise<T>): Promise<T>;
  /** To be called when the work is over. */
  clear(): void;
}

/** The reason of a deadline whose time is up. */
export class TimeUp extends Error {}

/**
 * A deadline in `timeoutMs`, or when `signal` aborts, then with its reason.
 *
 * Every request has one and nearly none needs its signal, which costs as much as all the rest (AbortSignal.any and
 * AbortSignal.timeout several times that), so that it is made when somebody asks for it.
 */
export function startDeadline(timeoutMs: number, signal: AbortSignal): Deadline {
  let controller: AbortController | undefined;
  let ended: { reason: unknown } | undefined;
  let rejectRace: ((reason: unknown) => void) | undefined;

  const end = (reason: unknown): void => {
    ended ??= { reason };
    controller?.abort(reason);
    rejectRace?.(reason);
  };
  const onAbort = (): void => end(signal.reason);
  const timer = setTimeout(() => end(new TimeUp()), timeoutMs);
  if (signal.aborted) onAbort();
  else signal.addEventListener('abort', onAbort, { once: true });

  return {
    get passed() {
      return ended !== undefined;
    },
    get signal() {
      if (controller === undefined) {
        controller = new AbortController();
        if (ended !== undefined) controller.abort(ended.reason);
      }
      return controller.signal;
    },
    race(work) {
      return new Promise((resolve, reject) => {
        rejectRace = reject;
        if (ended !== undefined) reject(ended.reason);
        work.then(resolve, reject);
      });
    },
    clear() {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
    },
  };
}
