import type { BindingConfig, ExchangeConfig, QueueConfig } from 'rascal';
import { contractNames } from '../../contract/names.ts';

/** Exchanges, queues and bindings in rascal's form. */
export interface Topology {
  readonly exchanges: ExchangeConfig[];
  readonly queues: QueueConfig[];
  readonly bindings: Record<string, BindingConfig>;
}

/**
 * What the agent declares in the vhost of the requests. Queues have their type as the only argument: their limits are
 * policies (see policies.ts), which must exist first.
 *
 * @param methods the methods that the agent serves, each a routing key of the rpc exchange. Any other key is routed to the
 *   alternate exchange.
 */
export function requestTopology(id: string, methods: readonly string[]): Topology {
  const names = contractNames(id);
  return {
    exchanges: [exchange(names.rpcExchange, 'direct'), exchange(names.deadExchange, 'fanout')],
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

/**
 * What the agent declares in the vhost of the tenants: the exchange of its events, which they may read. The queue of
 * broker events is declared on its own (see broker-events-session.ts).
 */
export function eventsTopology(id: string): Topology {
  return { exchanges: [exchange(contractNames(id).eventsExchange, 'topic')], queues: [], bindings: {} };
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
