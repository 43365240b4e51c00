import type { Log } from '../util/log.ts';
import type { Reconcile } from '../namespaces/reconciliation/reconcile.ts';
import type { RecurringJob } from './jobs.ts';

/** The job that compares the whole broker with the store. */
export const RECONCILE_BROKER = 'reconcile-broker';

/** What {@link reconcileBrokerJob} works with. */
export interface ReconcileJobParts {
  readonly reconcile: Reconcile;
  /** The pause between the starts of two passes, in ms. */
  readonly everyMs: number;
  readonly log: Log;
}

/** Makes the job. */
export function reconcileBrokerJob({ reconcile, everyMs, log }: ReconcileJobParts): RecurringJob {
  return {
    name: RECONCILE_BROKER,
    everyMs,
    async run(signal) {
      const { unknown, ...counts } = await reconcile(signal);
      const isNews = counts.repaired + counts.leftovers + counts.bindings + counts.connections > 0;
      const told = { ...counts, unknown: unknown.length };
      if (isNews) log.info({ code: 'drift_repaired', ...told }, 'reconciliation repaired drift');
      else log.debug({ code: 'no_drift', ...told }, 'reconciliation found no drift');
    },
  };
}
