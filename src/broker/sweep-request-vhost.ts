import { contractNames } from '../contract/names.ts';
import type { Binding, Management } from './management/management.ts';

/** What one sweep did, by the number of bindings. */
export interface SweepResult {
  readonly removed: number;
  /** Bindings that could not be removed; the next sweep tries again. */
  readonly left: number;
  /** The exchanges that the bindings came from, sorted. */
  readonly sources: readonly string[];
  /** Source exchanges that were deleted with all their bindings, sorted. */
  readonly deleted: readonly string[];
}

/** A source with more bindings than this is deleted instead: removing one binding costs RabbitMQ a call each. */
const MAX_BINDINGS_OF_SOURCE = 100;

/** A sweep that takes longer goes on with the next one, in ms. */
const SWEEP_TIMEOUT_MS = 10_000;

/**
 * Creates the function that removes foreign bindings in the vhost of the requests: those into the request exchange, and
 * those of a request queue from an exchange that is not the agent's. No client may bind there; an administrator may have.
 *
 * It lists the bindings once, and runs once at a time: a call during a sweep gets the result of that sweep.
 *
 * @throws AgentError `BrokerUnavailable`, `BrokerRefused` when the bindings cannot be listed
 */
export function createRequestVhostSweep({
  id,
  requestVhost,
  management,
}: {
  readonly id: string;
  readonly requestVhost: string;
  readonly management: Pick<Management, 'listBindings' | 'deleteBinding' | 'deleteExchange'>;
}): (signal: AbortSignal) => Promise<SweepResult> {
  let sweeping: Promise<SweepResult> | undefined;

  const sweep = async (signal: AbortSignal): Promise<SweepResult> => {
    const options = { signal: AbortSignal.any([signal, AbortSignal.timeout(SWEEP_TIMEOUT_MS)]) };
    const bySource = new Map<string, Binding[]>();
    for (const binding of await management.listBindings(requestVhost, options)) {
      if (isForeign(id, binding)) bySource.set(binding.source, [...(bySource.get(binding.source) ?? []), binding]);
    }
    const result = { removed: 0, left: 0, sources: [...bySource.keys()].toSorted(), deleted: [] as string[] };
    for (const [source, bindings] of bySource) {
      const removed = await removeOf(source, bindings).catch(() => {
        signal.throwIfAborted();
        return 0;
      });
      result.removed += removed;
      result.left += bindings.length - removed;
    }
    return result;

    /** Returns how many it removed. A binding whose key is not UTF-8 cannot be named, and answers 404 or an error. */
    async function removeOf(source: string, bindings: readonly Binding[]): Promise<number> {
      if (bindings.length > MAX_BINDINGS_OF_SOURCE && !source.startsWith('amq.')) {
        await management.deleteExchange(requestVhost, source, options);
        result.deleted.push(source);
        return bindings.length;
      }
      let removed = 0;
      for (const binding of bindings.slice(0, MAX_BINDINGS_OF_SOURCE)) {
        if (options.signal.aborted) return removed;
        const isRemoved = await management.deleteBinding(requestVhost, binding, options).catch(() => false);
        if (isRemoved) removed += 1;
      }
      return removed;
    }
  };

  return async (signal) => {
    sweeping ??= sweep(signal).finally(() => (sweeping = undefined));
    return await sweeping;
  };
}

/** Bindings of the agent's own exchanges stay: an agent of another version may serve other methods. */
function isForeign(id: string, { source, destination, destinationType }: Binding): boolean {
  const names = contractNames(id);
  if (destinationType === 'exchange') return destination === names.rpcExchange;
  const queues: readonly string[] = [names.requestQueue, names.unknownMethodsQueue, names.deadQueue];
  const own: readonly string[] = [names.rpcExchange, names.deadExchange];
  return queues.includes(destination) && !own.includes(source);
}
