import { setMaxListeners } from 'node:events';

/** The time limit of one piece of work. */
export interface Deadline {
  /** Whether the time is up, or the outer signal aborted. */
  readonly passed: boolean;
  /** Aborts when the time is up. */
  readonly signal: AbortSignal;
  /** The outcome of `work`, or a rejection when the time is up first; `work` itself goes on. One at a time. */
  race<T>(work: Promise<T>): Promise<T>;
  /** Ends the time now, with this reason. */
  end(reason: Error): void;
  /** To be called when the work is done. */
  clear(): void;
}

/** The reason of a deadline whose time is up. */
export class TimeoutError extends Error {
  override readonly name = 'TimeoutError';

  constructor(timeoutMs: number) {
    super(`no answer within ${timeoutMs} ms`);
  }
}

/**
 * A deadline in `timeoutMs`, or as soon as `signal` aborts, then with its reason.
 *
 * Every request has one and nearly none uses its signal, which costs as much as all the rest: it is made on demand.
 * AbortSignal.any and AbortSignal.timeout would cost several times that, and keep a kilobyte each until the time is up.
 */
export function startDeadline(timeoutMs: number, signal?: AbortSignal): Deadline {
  let controller: AbortController | undefined;
  let passed: { reason: unknown } | undefined;
  let rejectRace: ((reason: unknown) => void) | undefined;

  const pass = (reason: unknown): void => {
    passed ??= { reason };
    controller?.abort(reason);
    rejectRace?.(reason);
  };
  const onAbort = (): void => pass(signal?.reason);
  let timer: NodeJS.Timeout | undefined;
  if (signal?.aborted === true) onAbort();
  else {
    timer = setTimeout(() => pass(new TimeoutError(timeoutMs)), timeoutMs);
    if (signal !== undefined) listen(signal, onAbort);
  }

  return {
    get passed() {
      return passed !== undefined;
    },
    get signal() {
      if (controller === undefined) {
        controller = new AbortController();
        if (passed !== undefined) controller.abort(passed.reason);
      }
      return controller.signal;
    },
    race(work) {
      return new Promise((resolve, reject) => {
        rejectRace = reject;
        if (passed !== undefined) reject(passed.reason);
        work.then(resolve, reject);
      });
    },
    end: pass,
    clear() {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
    },
  };
}

/** The outcome of `work`, or a rejection with {@link TimeoutError} after `timeoutMs`; `work` itself goes on. */
export async function rejectAfter<T>(timeoutMs: number, work: Promise<T>): Promise<T> {
  const deadline = startDeadline(timeoutMs);
  return await deadline.race(work).finally(() => deadline.clear());
}

/**
 * Waits until `work` is done, whether it succeeds or fails, and at most `timeoutMs`. It never rejects.
 *
 * @returns Whether `work` was done in time.
 */
export async function waitAtMost(timeoutMs: number, work: Promise<unknown>): Promise<boolean> {
  const deadline = startDeadline(timeoutMs);
  await deadline.race(work).catch(() => undefined);
  deadline.clear();
  return !deadline.passed;
}

/** The outcome of `work`, or a rejection with the signal's reason as soon as it aborts; `work` itself goes on. */
export function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason);
    if (signal.aborted) onAbort();
    listen(signal, onAbort);
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}

/** Any number of concurrent calls listen to the signal of their job: node warns of a leak at the eleventh. */
function listen(signal: AbortSignal, onAbort: () => void): void {
  setMaxListeners(0, signal);
  signal.addEventListener('abort', onAbort, { once: true });
}
