/** Work that is repeated, each time by one of the agents. */
export interface RecurringJob {
  readonly name: string;
  /** The pause between the starts of two runs across all agents, in ms. */
  readonly everyMs: number;
  /** The longest pause that a run asks for, in ms; `everyMs` when absent. A longer one is put down to a wrong clock. */
  readonly longestPauseMs?: number;
  /**
   * One run. Two may overlap (a lock that ran out, a second agent), so it decides from the store and writes by
   * compare-and-set. An error is logged, and the next run does the work.
   *
   * @returns the pause until the start of the next run, in ms from the start of this one, where it is not `everyMs`
   */
  run(signal: AbortSignal): Promise<number | void>;
}

/** Work about one subject, requested when something happened. */
export interface TriggeredJob {
  readonly name: string;
  /** Runs for `subject`: a namespace or a queue. The same rules as for {@link RecurringJob}. */
  run(subject: string, signal: AbortSignal): Promise<void>;
}

/** All jobs of an agent. */
export interface JobTable {
  readonly recurring: readonly RecurringJob[];
  readonly triggered: readonly TriggeredJob[];
}

/** Recurring jobs that can be run ahead of schedule. */
export type OnDemandJobName = 'reconcile-broker' | 'survey-queues';

/** The triggered jobs of an agent; see job-table.ts. */
export type TriggeredJobName = 'repair-account' | 'finish-revocation' | 'inspect-queue' | `${OnDemandJobName}-soon`;

/** Requests runs of triggered jobs. */
export interface Jobs {
  /**
   * Requests a run about `subject` in `delayMs`. Several requests before it begins are one run. It does not throw: a
   * recurring job does the work of a request that is lost.
   */
  trigger(name: TriggeredJobName, subject: string, delayMs?: number): void;
}

/** When a broker returns, its agents reconnect within some seconds, each on several connections: one run serves all. */
const ON_DEMAND_DELAY_MS = 1_000;

/** Runs a recurring job ahead of schedule, once across all agents. */
function runSoon(jobs: Jobs, name: OnDemandJobName): void {
  jobs.trigger(`${name}-soon`, '', ON_DEMAND_DELAY_MS);
}

/** Reconciles ahead of schedule, once across all agents. */
export function reconcileSoon(jobs: Jobs): void {
  runSoon(jobs, 'reconcile-broker');
}

/** Reconciles and surveys ahead of schedule: broker events may have been missed. */
export function reconcileAndSurveySoon(jobs: Jobs): void {
  reconcileSoon(jobs);
  runSoon(jobs, 'survey-queues');
}
