import { readExemptions } from '../../store/paged-listing.ts';
import { exemptionsInForce, type QueueExemption } from '../../store/queue-exemption-records.ts';
import type { Store } from '../../store/store.ts';
import type { ClockBounds } from '../clock-bounds.ts';

/** The queues that an operator exempted from deletion. */
export interface ExemptQueues {
  /**
   * The exemptions that hold, by queue, read after the call: calls that wait share one reading.
   *
   * @throws AgentError `StoreUnavailable`
   */
  read(): Promise<ReadonlyMap<string, QueueExemption>>;
}

/** Each deletion reads them before it acts, so that an exemption holds in every agent from its write on. */
export function createExemptQueues(
  exemptions: Pick<Store['queueExemptions'], 'list'>,
  bounds: Pick<ClockBounds, 'earliestMs'>,
): ExemptQueues {
  let running: Promise<unknown> = Promise.resolve();
  let next: Promise<ReadonlyMap<string, QueueExemption>> | undefined;
  const readNow = async (): Promise<ReadonlyMap<string, QueueExemption>> =>
    exemptionsInForce(await readExemptions(exemptions), bounds.earliestMs());
  const begin = async (previous: Promise<unknown>): Promise<ReadonlyMap<string, QueueExemption>> => {
    await previous.catch(() => undefined);
    next = undefined;
    return await readNow();
  };
  return {
    async read() {
      if (next === undefined) {
        next = begin(running);
        running = next;
      }
      return await next;
    },
  };
}
