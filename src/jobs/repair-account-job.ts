import type { Backoff } from '../namespaces/backoff.ts';
import type { Repair } from '../namespaces/reconciliation/repair.ts';
import { REPAIR_ACCOUNT } from './broker-event-reactions.ts';
import type { TriggeredJob } from './jobs.ts';

/** Makes the job that compares the accounts of one namespace with its record, when an event says that they changed. */
export function repairAccountJob({
  repair,
  backoff,
}: {
  readonly repair: Repair;
  readonly backoff: Pick<Backoff, 'failed' | 'succeeded'>;
}): TriggeredJob {
  return {
    name: REPAIR_ACCOUNT,
    async run(namespace, signal) {
      try {
        await repair(namespace, signal);
        backoff.succeeded('repair', namespace);
      } catch (error) {
        signal.throwIfAborted();
        // The next pass over the whole broker does its work.
        backoff.failed('repair', namespace, error);
      }
    },
  };
}
