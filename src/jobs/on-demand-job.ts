import type { Jobs, TriggeredJob } from './jobs.ts';

/** The agents of a broker that was away are back within some seconds, each with several connections: one look is enough. */
const TOGETHER_MS = 1_000;

/**
 * Makes the job that does the work of a recurring one out of its turn: it has no subject, so that of all the agents that
 * ask for it at the same time one does it.
 */
export function onDemandJob(recurring: string, work: (signal: AbortSignal) => Promise<unknown>): TriggeredJob {
  return { name: nameOf(recurring), run: async (_subject, signal) => void (await work(signal)) };
}

/** Asks for it. What is lost is found when the recurring job has its turn. */
export function runSoon(jobs: Jobs, recurring: string): void {
  jobs.trigger(nameOf(recurring), '', TOGETHER_MS);
}

function nameOf(recurring: string): string {
  return `${recurring}-afresh`;
}
