/** The version of the wire contract. */
export const CONTRACT_VERSION = 'v1';

/** All names on the broker that derive from an agent's `id`. */
export interface ContractNames {
  /** Durable direct exchange for requests; the routing key is the method. */
  readonly rpcExchange: string;
  /** Durable fanout exchange: alternate exchange of `rpcExchange`, dead-letter exchange of the request queue. */
  readonly deadExchange: string;
  readonly requestQueue: string;
  readonly deadQueue: string;
  /** Requests whose routing key is not a method. They arrive through the alternate exchange and are answered. */
  readonly unknownMethodsQueue: string;
  /** Durable topic exchange of agent events; any claimed account may read it. */
  readonly eventsExchange: string;
  /** Durable queue bound to the broker's event exchange, shared by all agents. */
  readonly brokerEventsQueue: string;
  /** The same for the events that a claimed account can cause, such as those about queues. */
  readonly tenantEventsQueue: string;
  /** The shared RabbitMQ user that may only send requests. */
  readonly claimantUser: string;
}

/**
 * The names of an agent's exchanges, queues and claimant.
 *
 * The request exchange is not named `exchange/…`, because every claimed account may read those: it could bind a queue and
 * read the requests of other clients.
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
    tenantEventsQueue: `queue/${id}/${CONTRACT_VERSION}/tenant-events`,
    claimantUser: `${id}-claimant`,
  };
}

/** The name of a queue by which one agent gets the events of all agents, for the page for operators. */
export function pageEventsQueue(id: string, consumer: string): string {
  return `queue/${id}/${CONTRACT_VERSION}/page-events/${consumer}`;
}

/** The `reply_to` that a client sets for direct reply-to; RabbitMQ replaces it. */
export const DIRECT_REPLY_TO = 'amq.rabbitmq.reply-to';

/** The form of an agent's id. */
export const AGENT_ID_PATTERN = /^[a-z0-9-]{1,64}$/;

/** The rule of {@link AGENT_ID_PATTERN}, as part of a sentence. */
export const AGENT_ID_RULE = 'lower-case letters, digits and hyphens, at most 64';

/** The form of an agent's audience: a host name. */
export const AUDIENCE_PATTERN =
  /^(?=.{1,253}\.?$)[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*\.?$/;

/** The rule of {@link AUDIENCE_PATTERN}, as part of a sentence. */
export const AUDIENCE_RULE = 'a host name: letters, digits, dots and hyphens, without a port';

/** The form of a namespace's name. It must also begin with the agent's `namespacePrefix`. */
export const NAMESPACE_PATTERN = /^[A-Za-z0-9_-]{1,64}$/;

/** The namespace whose account a RabbitMQ user is by its name; undefined: none, whatever the store says. */
export function namespaceOfAccount(
  { usernamePrefix, namespacePrefix }: { readonly usernamePrefix: string; readonly namespacePrefix: string },
  user: string,
): string | undefined {
  if (!user.startsWith(usernamePrefix) || !/-[12]$/.test(user)) return undefined;
  const namespace = user.slice(usernamePrefix.length, -2);
  return namespace.startsWith(namespacePrefix) && NAMESPACE_PATTERN.test(namespace) ? namespace : undefined;
}

/** The form of a Taskcluster clientId. Taskcluster's auth service fails with 500 at a signer with any other. */
export const CLIENT_ID_PATTERN = /^[A-Za-z0-9!@/:.+|_-]{1,256}$/;

/** The rule of {@link CLIENT_ID_PATTERN}, as part of a sentence. */
export const CLIENT_ID_RULE = '1 to 256 of the characters A-Z a-z 0-9 ! @ / : . + | _ -';

/** Correlation ids: 1 to 128 printable ASCII characters without spaces. */
export const CORRELATION_ID_PATTERN = /^[\x21-\x7e]{1,128}$/;

/** The largest body of a request, in bytes. */
export const MAX_REQUEST_BYTES = 16 * 1024;
