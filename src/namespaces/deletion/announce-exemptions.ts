import { readExemptions } from '../../store/paged-listing.ts';
import { isInForce } from '../../store/queue-exemption-records.ts';
import type { Store } from '../../store/store.ts';
import type { NamespaceContext } from '../namespace-context.ts';

/**
 * Publishes which exemptions of queues began or ended, and removes those that ended. The operator's command cannot: it has
 * no connection to RabbitMQ.
 *
 * @throws AgentError `StoreUnavailable`; the signal's reason
 */
export type AnnounceExemptions = (signal: AbortSignal) => Promise<void>;

/** An agent that dies between the event and the write publishes the event again. */
export function createExemptionAnnouncer(
  exemptions: Store['queueExemptions'],
  { bounds, reporters }: Pick<NamespaceContext, 'bounds' | 'reporters'>,
): AnnounceExemptions {
  return async (signal) => {
    for (const exemption of await readExemptions(exemptions)) {
      signal.throwIfAborted();
      const { queue, revision, untilMs, announcedUntilMs } = exemption;
      if (isInForce(exemption, bounds.earliestMs())) {
        if (announcedUntilMs === untilMs) continue;
        await reporters.queueExempted(exemption);
        await exemptions.replace({ ...exemption, revision: revision + 1, announcedUntilMs: untilMs }, revision);
      } else {
        if (announcedUntilMs !== 0) await reporters.queueExemptionEnded(exemption);
        await exemptions.remove(queue, revision);
      }
    }
  };
}
