/** Work that is done again and again, by whichever agent's turn it is. */
export interface RecurringJob {
  readonly name: string;
  /** The pause between the starts of two runs across all agents, in ms. */
  readonly everyMs: number;
  /** The longest pause that a run asks for, in ms; `everyMs` when absent. What waits longer is blamed on a wrong clock. */
  readonly longestMs?: number;
  /**
   * One run. It may run twice at once (a lock that ran out, a second agent), so it decides from the store and writes by
   * compare-and-set. What it throws is in the log, and the next run does its work.
   *
   * @returns where the next run is to begin at another time, in how many ms from the start of this one
   */
  run(signal: AbortSignal): Promise<number | void>;
}

/** Work about one thing, asked for when something was seen. */
export interface TriggeredJob {
  readonly name: string;
  /** Runs for `subject`: a namespace or a queue. The same promises as {@link RecurringJob}. */
  run(subject: string, signal: AbortSignal): Promise<void>;
}

/** How the parts of the agent ask for work. */
export interface Jobs {
  /**
   * Asks for a run of a triggered job about `subject` after `delayMs`. Asked for several times before it began, it runs
   * once. It does not throw: what is lost is found by the recurring jobs.
   */
  trigger(name: string, subject: string, delayMs?: number): void;
}
