import { AgentError } from '../errors.ts';

/** The one way into a store: turns whatever fails, and every call after {@link close}, into `StoreUnavailable`. */
export class StoreGate {
  readonly #explain: (error: unknown) => AgentError;
  #closed = false;

  /** @param explain makes the `StoreUnavailable` of an adapter's own error, without any secret */
  constructor(explain: (error: unknown) => AgentError) {
    this.#explain = explain;
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

  async run<Result>(action: () => Result | Promise<Result>): Promise<Result> {
    this.requireOpen();
    try {
      return await action();
    } catch (error) {
      if (error instanceof AgentError) throw error;
      throw this.#closed ? closedError() : this.#explain(error);
    }
  }
}

function closedError(): AgentError {
  return new AgentError('StoreUnavailable', 'The store is closed, because the agent stops: start the agent again.');
}
