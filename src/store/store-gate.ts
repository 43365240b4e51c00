import { AgentError } from '../util/agent-errors.ts';
import { rejectAfter } from '../util/deadline.ts';

/** Guards every call of a store: any failure, and every call after {@link close}, becomes `StoreUnavailable`. */
export class StoreGate {
  readonly #explain: (error: unknown) => AgentError;
  readonly #limitMs: number | undefined;
  #closed = false;

  /**
   * @param explain makes the `StoreUnavailable` for an error of the adapter, without any secret
   * @param limitMs the time limit of an action; none when absent
   */
  constructor(explain: (error: unknown) => AgentError, limitMs?: number) {
    this.#explain = explain;
    this.#limitMs = limitMs;
  }

  /** Returns whether it was open. */
  close(): boolean {
    const wasOpen = !this.#closed;
    this.#closed = true;
    return wasOpen;
  }

  /**
   * For a further step of an action.
   *
   * @throws AgentError `StoreUnavailable` when the store was closed since the previous step
   */
  requireOpen(): void {
    if (this.#closed) throw closedError();
  }

  /** Runs `action`. One that exceeds the limit goes on by itself: it may have happened. */
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
  return new AgentError(
    'StoreUnavailable',
    'The store is closed because the agent is stopping. Start the agent again.',
  );
}
