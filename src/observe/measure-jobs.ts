import type { Clock } from '../util/clock.ts';
import type { RecurringJob, TriggeredJob } from '../jobs/jobs.ts';
import { type Measured, OK, outcomeOfError } from './measure.ts';

/** The job with a clock at each run. */
export function measureRecurring(job: RecurringJob, clock: Clock, onRun: Measured): RecurringJob {
  return { ...job, run: (signal) => measureRun(job.name, () => job.run(signal), signal, clock, onRun) };
}

/** The job with a clock at each run, whatever it is about. */
export function measureTriggered(job: TriggeredJob, clock: Clock, onRun: Measured): TriggeredJob {
  const measured: TriggeredJob['run'] = (subject, signal) =>
    measureRun(job.name, () => job.run(subject, signal), signal, clock, onRun);
  return { ...job, run: measured };
}

async function measureRun<Result>(
  name: string,
  run: () => Promise<Result>,
  signal: AbortSignal,
  clock: Clock,
  onRun: Measured,
): Promise<Result> {
  const startedMs = clock.monotonicMs();
  let outcome = OK;
  try {
    return await run();
  } catch (error) {
    outcome = outcomeOfError(error, signal);
    throw error;
  } finally {
    onRun(name, outcome, clock.monotonicMs() - startedMs);
  }
}
