import type { Inspect } from '../queues/inspect-queue.ts';
import type { TriggeredJob } from './jobs.ts';

/** The job that looks at one queue again, as something is to be done about it; its subject is the queue. */
export const INSPECT_QUEUE = 'inspect-queue';

/** Makes the job. What it does not get done the next survey finds. */
export function inspectQueueJob(inspect: Inspect): TriggeredJob {
  return { name: INSPECT_QUEUE, run: (queue, signal) => inspect([queue], signal) };
}
