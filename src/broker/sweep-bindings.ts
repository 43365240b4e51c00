import { contractNames } from '../contract/names.ts';
import { type BindingRemover, type ForeignBinding, isForeignBinding } from './foreign-bindings.ts';
import type { Binding, Management } from './management/management.ts';

/** What {@link createForeignBindingRemoval} works with. */
export interface ForeignBindingRemovalOptions {
  readonly id: string;
  readonly vhost: string;
  readonly management: Pick<Management, 'listBindingsInto'>;
  readonly remover: Pick<BindingRemover, 'remove'>;
  /** Told of each foreign binding, and whether it could be removed. */
  readonly onForeign: (binding: ForeignBinding, isRemoved: boolean) => void;
}

/**
 * Makes the function that removes all foreign bindings into the request exchange, which no event may have told of. It
 * resolves with how many it removed, and rejects when the broker does not answer.
 */
export function createForeignBindingRemoval(
  parts: ForeignBindingRemovalOptions,
): (signal: AbortSignal) => Promise<number> {
  const { id, vhost, management, remover, onForeign } = parts;
  const { rpcExchange } = contractNames(id);
  return async (signal) => {
    const into = await management.listBindingsInto(vhost, rpcExchange, { signal });
    let removed = 0;
    for (const listed of into) {
      const binding = foreignBinding(listed);
      if (!isForeignBinding(id, vhost, { ...binding, vhost })) continue;
      signal.throwIfAborted();
      const isRemoved = await remover.remove(binding);
      if (isRemoved) removed += 1;
      onForeign(binding, isRemoved);
    }
    return removed;
  };
}

function foreignBinding({ source, destination, destinationType, routingKey, propertiesKey }: Binding): ForeignBinding {
  return {
    source,
    destination,
    destinationKind: destinationType,
    routingKey,
    // RabbitMQ writes the key, its tildes percent-encoded, and, where there are arguments, a tilde and their hash; a lone
    // tilde is the empty key.
    hasArguments: propertiesKey !== '~' && propertiesKey.includes('~'),
  };
}
