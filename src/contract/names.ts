/** The version of the wire contract that this code speaks. */
export const CONTRACT_VERSION = 'v1';

/** Every name on the broker that follows from an agent's `id`. */
export interface ContractNames {
  /** Durable direct exchange that takes requests; the routing key is the method. */
  readonly rpcExchange: string;
  /** Durable fanout exchange: alternate exchange of the rpc exchange and dead-letter exchange of the requests. */
  readonly deadExchange: string;
  readonly requestQueue: string;
  readonly deadQueue: string;
  /** Requests with a routing key that is no method: they come here by the alternate exchange and can be answered. */
  readonly unknownMethodsQueue: string;
  /** Durable topic exchange of agent events; any claimed account may read it. */
  readonly eventsExchange: string;
  /** Durable queue bound to the broker's event exchange, shared by all agents. */
  readonly brokerEventsQueue: string;
  /** The shared RabbitMQ user that may do nothing but send requests. */
  readonly claimantUser: string;
}

/**
 * The names of an agent's exchanges, queues and claimant.
 *
 * The request exchange is not called `exchange/…`, because every claimed account may read those and could bind a queue
 * to it to eavesdrop on the requests of others.
 *
 * @example
 * contractNames('pulse-agent').rpcExchange; // 'rpc/pulse-agent/v1'
 */
export function contractNames(id: string): ContractNames {
  return {
    rpcExchange: `rpc/${id}/${CONTRACT_VERSION}`,
    deadExchange: `rpc/${id}/${CONTRACT_VERSION}/dead`,
    requestQueue: `queue/${id}/${CONTRACT_VERSION}/requests`,
    deadQueue: `queue/${id}/${CONTRACT_VERSION}/dead`,
    unknownMethodsQueue: `queue/${id}/${CONTRACT_VERSION}/unknown-methods`,
    eventsExchange: `exchange/${id}/${CONTRACT_VERSION}/events`,
    brokerEventsQueue: `queue/${id}/${CONTRACT_VERSION}/broker-events`,
    claimantUser: `${id}-claimant`,
  };
}

/** The literal that a client writes into `reply_to` for direct reply-to; the broker rewrites it on the way. */
export const DIRECT_REPLY_TO = 'amq.rabbitmq.reply-to';

/** What a namespace's name may consist of; it must also start with the agent's `namespacePrefix`. */
export const NAMESPACE_PATTERN = /^[A-Za-z0-9_-]{1,64}$/;

/** Correlation ids: 1 to 128 printable ASCII characters without spaces. */
export const CORRELATION_ID_PATTERN = /^[\x21-\x7e]{1,128}$/;

/** The largest body of a request, in bytes. */
export const MAX_REQUEST_BYTES = 16 * 1024;
