import type { Inspect } from '../queues/inspect.ts';
import type { TriggeredJob } from './job.ts';

/** The job that looks at one queue again, as something is to be done about it; its subject is the queue. */
export const INSPECT_QUEUE = 'inspect-queue';

/** Makes the job. What it does not get done the next survey finds. */
export function inspectQueueJob(inspect: Inspect): TriggeredJob {
  return { name: INSPECT_QUEUE, run: (queue, signal) => inspect([queue], signal) };
}
