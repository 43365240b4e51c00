import type { Backoff } from '../namespaces/backoff.ts';
import type { Revoker } from '../namespaces/revocation/revoke.ts';
import type { TriggeredJob } from './jobs.ts';

/** The job that compares both accounts once more after a revocation; its subject is the namespace. */
export const FINISH_REVOCATION = 'finish-revocation';

/** Makes the job. What it does not get done the comparison of the whole broker finds. */
export function finishRevocationJob(revoker: Pick<Revoker, 'finish'>, backoff: Backoff): TriggeredJob {
  return {
    name: FINISH_REVOCATION,
    async run(namespace, signal) {
      try {
        await revoker.finish(namespace, signal);
        backoff.succeeded('revocation', namespace);
      } catch (error) {
        if (!signal.aborted) backoff.failed('revocation', namespace, error);
      }
    },
  };
}
