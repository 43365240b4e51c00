import { contractNames } from '../contract/names.ts';
import type { BindingCreated } from './amqp/broker-events.ts';
import type { Binding, Management } from './management/management.ts';

/** A binding that routes foreign messages to the agent. */
export type ForeignBinding = Pick<
  BindingCreated,
  'source' | 'destination' | 'destinationKind' | 'routingKey' | 'hasArguments'
>;

/**
 * Whether a binding is not the agent's: any binding into its request exchange, which every client that may write there can
 * create, and one of its queues to an exchange that is not its own. All bindings of the agent's own exchanges stay: an
 * agent of another version may serve other methods.
 */
export function isForeignBinding(id: string, vhost: string, binding: ForeignBinding & { vhost: string }): boolean {
  const names = contractNames(id);
  if (binding.vhost !== vhost) return false;
  if (binding.destinationKind === 'exchange') return binding.destination === names.rpcExchange;
  const queues: readonly string[] = [names.requestQueue, names.unknownMethodsQueue, names.deadQueue];
  const sources: readonly string[] = ['', names.rpcExchange, names.deadExchange];
  return queues.includes(binding.destination) && !sources.includes(binding.source);
}

interface ForeignBindingRemovalOptions {
  readonly id: string;
  readonly vhost: string;
  readonly management: Pick<Management, 'listBindingsInto'>;
  /** Removes one binding; see `BindingRemover.remove`. */
  readonly remove: (binding: ForeignBinding) => Promise<boolean>;
  readonly onRemoved: (binding: ForeignBinding) => void;
  readonly onNotRemoved: (binding: ForeignBinding) => void;
}

/**
 * Creates the function that removes all foreign bindings into the request exchange, also those whose event was lost. It
 * resolves with the number that it removed, and rejects when the broker does not answer.
 */
export function createForeignBindingRemoval(
  options: ForeignBindingRemovalOptions,
): (signal: AbortSignal) => Promise<number> {
  const { id, vhost, management, remove, onRemoved, onNotRemoved } = options;
  const { rpcExchange } = contractNames(id);
  return async (signal) => {
    let removed = 0;
    for (const listed of await management.listBindingsInto(vhost, rpcExchange, { signal })) {
      const binding = foreignBindingOf(listed);
      if (!isForeignBinding(id, vhost, { ...binding, vhost })) continue;
      signal.throwIfAborted();
      if (await remove(binding)) {
        removed += 1;
        onRemoved(binding);
      } else onNotRemoved(binding);
    }
    return removed;
  };
}

function foreignBindingOf(listed: Binding): ForeignBinding {
  const { source, destination, destinationType: destinationKind, routingKey, propertiesKey } = listed;
  // RabbitMQ writes the routing key with its tildes percent-encoded and, where there are arguments, a tilde and their hash.
  // A single tilde is the empty key.
  const hasArguments = propertiesKey !== '~' && propertiesKey.includes('~');
  return { source, destination, destinationKind, routingKey, hasArguments };
}
