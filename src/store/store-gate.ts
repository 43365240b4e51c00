import { AgentError } from '../util/agent-errors.ts';
import { rejectAfter } from '../util/deadline.ts';

/** The one way into a store: turns whatever fails, and every call after {@link close}, into `StoreUnavailable`. */
export class StoreGate {
  readonly #explain: (error: unknown) => AgentError;
  readonly #limitMs: number | undefined;
  #closed = false;

  /**
   * @param explain makes the `StoreUnavailable` of an adapter's own error, without any secret
   * @param limitMs how long an action may take; no limit when absent
   */
  constructor(explain: (error: unknown) => AgentError, limitMs?: number) {
    this.#explain = explain;
    this.#limitMs = limitMs;
  }

  /** Returns whether it was open until now. */
  close(): boolean {
    const wasOpen = !this.#closed;
    this.#closed = true;
    return wasOpen;
  }

  /**
   * For a step of an action after it has waited.
   *
   * @throws AgentError `StoreUnavailable` when it was closed meanwhile
   */
  requireOpen(): void {
    if (this.#closed) throw closedError();
  }

  /** Runs `action`. One that takes too long goes on by itself; what it does then is unknown to the caller. */
  async run<Result>(action: () => Result | Promise<Result>): Promise<Result> {
    this.requireOpen();
    try {
      const limitMs = this.#limitMs;
      return await (limitMs === undefined ? action() : rejectAfter(limitMs, Promise.resolve(action())));
    } catch (error) {
      if (error instanceof AgentError) throw error;
      throw this.#closed ? closedError() : this.#explain(error);
    }
  }
}

function closedError(): AgentError {
  return new AgentError('StoreUnavailable', 'The store is closed, because the agent stops: start the agent again.');
}
