import { INSPECT_QUEUE, type Inspect } from '../queues/inspect-queue.ts';
import type { TriggeredJob } from './jobs.ts';

/** Makes the job. What it does not get done the next survey finds. */
export function inspectQueueJob(inspect: Inspect): TriggeredJob {
  return { name: INSPECT_QUEUE, run: (queue, signal) => inspect([queue], signal) };
}
