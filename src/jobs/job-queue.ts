import type { Jobs } from './jobs.ts';

/** Takes requests for jobs before the scheduler runs. */
export interface JobQueue extends Jobs {
  /** Passes all requests to `scheduler`, first those made so far, in order. To be called once. */
  attach(scheduler: Jobs): void;
}

/** Requests that wait for `attach`, at most; a recurring job does the work of those that are dropped. */
const MAX_UNATTACHED = 1_000;

/**
 * Creates a queue without a scheduler. A request made before one is attached is kept, once for each job and subject, and
 * its delay begins when the scheduler is attached.
 */
export function createJobQueue(): JobQueue {
  const requests = new Map<string, Parameters<Jobs['trigger']>>();
  let scheduler: Jobs | undefined;
  return {
    trigger(...request) {
      if (scheduler !== undefined) {
        scheduler.trigger(...request);
        return;
      }
      const [name, subject] = request;
      const key = `${name} ${subject}`;
      if (!requests.has(key) && requests.size < MAX_UNATTACHED) requests.set(key, request);
    },
    attach(attached) {
      scheduler = attached;
      for (const request of requests.values()) attached.trigger(...request);
      requests.clear();
    },
  };
}
