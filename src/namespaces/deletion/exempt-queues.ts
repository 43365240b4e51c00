import { readExemptions } from '../../store/paged-listing.ts';
import { isInForce, type QueueExemption } from '../../store/queue-exemption-records.ts';
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
  const readNow = async (): Promise<ReadonlyMap<string, QueueExemption>> => {
    const all = await readExemptions(exemptions);
    return new Map(all.filter((one) => isInForce(one, bounds.earliestMs())).map((one) => [one.queue, one]));
  };
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
