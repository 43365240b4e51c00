import type { BindingConfig, ExchangeConfig, QueueConfig } from 'rascal';
import { contractNames } from '../../contract/names.ts';

/** Exchanges, queues and bindings in the words of rascal. */
export interface Topology {
  readonly exchanges: ExchangeConfig[];
  readonly queues: QueueConfig[];
  readonly bindings: Record<string, BindingConfig>;
}

/**
 * What the agent declares for itself at every connection. Queues carry their type and no other argument: their limits
 * are policies (see limits.ts), which must be there first.
 *
 * @param methods The methods that the agent serves: each is a routing key of the rpc exchange. Any other key takes the
 *   alternate exchange.
 */
export function topologyOf(id: string, methods: readonly string[]): Topology {
  const names = contractNames(id);
  return {
    exchanges: [
      exchange(names.rpcExchange, 'direct'),
      exchange(names.deadExchange, 'fanout'),
      exchange(names.eventsExchange, 'topic'),
    ],
    // The queue of broker events joins here, bound to `amq.rabbitmq.event`.
    queues: [quorumQueue(names.requestQueue), quorumQueue(names.deadQueue), quorumQueue(names.unknownMethodsQueue)],
    bindings: {
      dead: queueBinding(names.deadExchange, names.deadQueue),
      unknownMethods: queueBinding(names.deadExchange, names.unknownMethodsQueue),
      ...Object.fromEntries(
        methods.map((method) => [`method ${method}`, queueBinding(names.rpcExchange, names.requestQueue, method)]),
      ),
    },
  };
}

function exchange(name: string, type: 'direct' | 'fanout' | 'topic'): ExchangeConfig {
  return { name, type, options: { durable: true } };
}

function quorumQueue(name: string): QueueConfig {
  return { name, options: { durable: true, arguments: { 'x-queue-type': 'quorum' } } };
}

/** A fanout exchange ignores the key. */
function queueBinding(source: string, destination: string, bindingKey = '#'): BindingConfig {
  return { source, destination, destinationType: 'queue', bindingKey };
}
