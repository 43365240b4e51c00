import * as z from 'zod';

/** The algorithm that RabbitMQ uses by default, and the agent too. */
export const HASHING_ALGORITHM = 'rabbit_password_hashing_sha256';

/** Tags are a list since RabbitMQ 3.9; before, a string with commas. */
const tags = z.union([z.array(z.string()), z.string().transform((text) => text.split(',').filter(Boolean))]);

const NO_TAGS: readonly string[] = [];

/** A RabbitMQ user. The hash contains its salt; treat it as a secret. */
export interface BrokerUser {
  readonly name: string;
  readonly passwordHash: string;
  readonly hashingAlgorithm: string;
  readonly tags: readonly string[];
}

export const userSchema = z
  .object({
    name: z.string(),
    password_hash: z.string().default(''),
    hashing_algorithm: z.string().default(''),
    tags: tags.default([]),
  })
  .transform(
    (user): BrokerUser => ({
      name: user.name,
      passwordHash: user.password_hash,
      // One string for all accounts, instead of one each in a listing of tens of thousands.
      hashingAlgorithm: user.hashing_algorithm === HASHING_ALGORITHM ? HASHING_ALGORITHM : user.hashing_algorithm,
      tags: user.tags.length === 0 ? NO_TAGS : user.tags,
    }),
  );

/** Regular expressions of names (PCRE), not anchored by RabbitMQ. */
export interface Permissions {
  readonly configure: string;
  readonly write: string;
  readonly read: string;
}

export const permissionsSchema = z.object({ configure: z.string(), write: z.string(), read: z.string() });

/** The limits that a user can have. */
export type UserLimitName = 'max-connections' | 'max-channels';

/** The limits of a user. */
export type UserLimits = { readonly [name in UserLimitName]?: number | undefined };

const limitValues = z.object({ 'max-connections': z.number().optional(), 'max-channels': z.number().optional() });

export const userLimitsSchema = z
  .array(z.object({ value: limitValues }))
  .transform(([first]): UserLimits => first?.value ?? {});

/** The permissions of a user in a virtual host, in a listing. */
export type ListedPermissions = Permissions & { readonly user: string; readonly vhost: string };

export const listedPermissionsSchema = permissionsSchema.extend({ user: z.string(), vhost: z.string() });

/** A user has permissions by topic in this virtual host. */
export interface ListedTopicPermissions {
  readonly user: string;
  readonly vhost: string;
}

export const topicPermissionsSchema = z.object({ user: z.string(), vhost: z.string() });

/** The permissions of one user in a virtual host. */
export type VhostPermissions = Permissions & { readonly vhost: string };

export const vhostPermissionsSchema = permissionsSchema.extend({ vhost: z.string() });

/** The limits of a user, in a listing; it omits users without limits. */
export interface ListedUserLimits {
  readonly user: string;
  readonly limits: UserLimits;
}

export const listedUserLimitsSchema = z
  .object({ user: z.string(), value: limitValues })
  .transform(({ user, value }): ListedUserLimits => ({ user, limits: value }));

/** An AMQP connection in a listing. */
export interface ListedConnection {
  /** RabbitMQ's name: client address and port, arrow, broker address and port. */
  readonly name: string;
  readonly user: string;
  /**
   * When the node accepted it, before the login, in ms since the epoch by the node's clock. Absent in some listings.
   */
  readonly connectedAtMs?: number | undefined;
}

export const connectionSchema = z
  .object({ name: z.string(), user: z.string().default(''), connected_at: z.number().optional() })
  .transform(({ name, user, connected_at: connectedAtMs }): ListedConnection => ({ name, user, connectedAtMs }));

/** A policy without its name. */
export interface Policy {
  readonly pattern: string;
  /** `all`, `queues`, `exchanges`, and more in newer versions. */
  readonly applyTo: string;
  readonly definition: Readonly<Record<string, unknown>>;
  readonly priority: number;
}

/** A policy with its name. */
export type NamedPolicy = Policy & { readonly name: string };

export const policySchema = z
  .object({
    name: z.string(),
    pattern: z.string(),
    'apply-to': z.string(),
    definition: z.record(z.string(), z.unknown()),
    priority: z.number(),
  })
  .transform(({ 'apply-to': applyTo, ...policy }): NamedPolicy => ({ ...policy, applyTo }));

export const globalParameterSchema = z.object({ value: z.unknown() }).transform(({ value }) => value);

/** A queue in a listing. */
export interface ListedQueue {
  readonly name: string;
  /** Unknown for streams and while the queue is down. */
  readonly messages?: number | undefined;
}

/**
 * States without a valid depth. For a classic queue whose node is down a listing has none, but for a quorum queue it has the
 * last one that this node knows, or 0.
 */
const UNCOUNTED_STATES = new Set(['down', 'minority', 'recovering', 'crashed', 'stopped']);

/** Whether a queue in this state has no valid depth. */
export function isUncounted(state: string | undefined): boolean {
  return state !== undefined && UNCOUNTED_STATES.has(state);
}

export const queueSchema = z
  .object({ name: z.string(), messages: z.number().optional(), state: z.string().optional() })
  .transform(
    ({ name, messages, state }): ListedQueue =>
      messages === undefined || isUncounted(state) ? { name } : { name, messages },
  );

/** The size of a queue, from the statistics: up to 5 s old, with RabbitMQ's default interval. */
export interface CountedBytes {
  readonly name: string;
  /** All bodies, ready or not, in bytes; headers and properties are not counted. */
  readonly bytes: number;
  /** The messages that were counted with them. */
  readonly messages: number;
  /** As old as the bytes; absent: unknown. */
  readonly consumers?: number;
  /** Whether it is its connection's alone; absent: not, or unknown. */
  readonly isExclusive?: true;
}

/** Undefined where the bytes are unknown: a stream, a queue that is down, or no statistics. */
export const countedBytesSchema = z
  .object({
    name: z.string(),
    messages: z.number().optional(),
    message_bytes: z.number().optional(),
    consumers: z.number().optional(),
    exclusive: z.boolean().optional(),
    state: z.string().optional(),
  })
  .transform(({ name, messages, message_bytes: bytes, consumers, exclusive, state }): CountedBytes | undefined => {
    if (messages === undefined || bytes === undefined || isUncounted(state)) return undefined;
    const use = consumers === undefined ? {} : { consumers };
    return { name, bytes, messages, ...use, ...(exclusive === true ? { isExclusive: true } : {}) };
  });

/** A listing of names only. */
export const descriptionSchema = z
  .object({ description: z.string().optional() })
  .transform(({ description }) => description);

export const nameSchema = z.object({ name: z.string() }).transform(({ name }) => name);

/** A queue as it was declared. */
export interface DeclaredQueue {
  readonly name: string;
  /** `classic`, `quorum`, `stream`, and further ones in newer versions. */
  readonly type: string;
  /** Whether the number of its messages is unknown, whatever RabbitMQ reports. */
  readonly isUncounted?: boolean;
}

export const declaredQueueSchema = z
  .object({ name: z.string(), type: z.string().default('classic'), state: z.string().optional() })
  .transform(
    ({ name, type, state }): DeclaredQueue => ({ name, type, ...(isUncounted(state) ? { isUncounted: true } : {}) }),
  );

const connectionDetails = z.object({ name: z.string() });

/** Without an owner the details are an empty list or string. */
export const queueOwnerSchema = z
  .object({ owner_pid_details: z.unknown().optional() })
  .transform(({ owner_pid_details: owner }) => connectionDetails.safeParse(owner).data?.name);

/** In seconds; absent or empty where RabbitMQ does not know it. */
export const oldestMessageSchema = z
  .object({ head_message_timestamp: z.unknown().optional() })
  .transform(({ head_message_timestamp: seconds }) => (typeof seconds === 'number' ? seconds * 1000 : undefined));

/** An exchange in a listing. */
export interface ListedExchange {
  readonly name: string;
  readonly type: string;
}

export const exchangeSchema = z.object({ name: z.string(), type: z.string() });

/** A binding in a listing. */
export interface Binding {
  /** Empty for the default exchange. */
  readonly source: string;
  readonly destination: string;
  readonly destinationType: 'queue' | 'exchange';
  readonly routingKey: string;
  /** Identifies a binding among those of the same source and destination. */
  readonly propertiesKey: string;
}

export const bindingSchema = z
  .object({
    source: z.string(),
    destination: z.string(),
    destination_type: z.enum(['queue', 'exchange']),
    routing_key: z.string(),
    properties_key: z.string(),
  })
  .transform(
    (binding): Binding => ({
      source: binding.source,
      destination: binding.destination,
      destinationType: binding.destination_type,
      routingKey: binding.routing_key,
      propertiesKey: binding.properties_key,
    }),
  );

/** An alarm that is set. */
export interface NodeAlarm {
  readonly node: string;
  /** As events name it: `memory`, `disk`. */
  readonly alarm: string;
}

/** The health check calls an alarm of the disk `disk space`. One about file descriptors blocks no publisher. */
const ALARMS: Readonly<Record<string, string | undefined>> = { memory: 'memory', 'disk space': 'disk', disk: 'disk' };

/** The answer of the health check: `ok`, or why not. */
export const alarmsSchema = z
  .union([
    z.object({ status: z.literal('ok') }),
    z.object({ status: z.literal('failed'), alarms: z.array(z.object({ node: z.string(), resource: z.string() })) }),
  ])
  .transform((health): NodeAlarm[] =>
    health.status === 'ok'
      ? []
      : health.alarms.flatMap(({ node, resource }) => {
          const alarm = Object.hasOwn(ALARMS, resource) ? ALARMS[resource] : undefined;
          return alarm === undefined ? [] : [{ node, alarm }];
        }),
  );

/** How long a node has run when it collected this statistic. */
export interface NodeUptime {
  readonly node: string;
  /** In ms; undefined where the node has no statistics. */
  readonly uptimeMs?: number | undefined;
  /** The address that answered. Each node caches statistics by itself: answers of two cannot be compared. */
  readonly readFrom?: string;
}

/** Undefined for a node that does not run. */
export const uptimeSchema = z
  .object({ name: z.string(), running: z.boolean(), uptime: z.number().optional() })
  .transform(({ name: node, running, uptime: uptimeMs }): NodeUptime | undefined =>
    running ? { node, uptimeMs } : undefined,
  );

/** Versions and name of the broker, and what its management API lacks. */
export interface Overview {
  readonly rabbitmqVersion: string;
  readonly erlangVersion: string;
  readonly clusterName: string;
  /** Whether the API has no statistics at all. */
  readonly areStatisticsOff: boolean;
  /** Whether the configuration of RabbitMQ forbids to change operator policies over the API. */
  readonly areOperatorPoliciesFixed?: boolean;
}

export const overviewSchema = z
  .object({
    rabbitmq_version: z.string(),
    erlang_version: z.string(),
    cluster_name: z.string(),
    disable_stats: z.boolean().default(false),
    is_op_policy_updating_enabled: z.boolean().default(true),
  })
  .transform(
    (overview): Overview => ({
      rabbitmqVersion: overview.rabbitmq_version,
      erlangVersion: overview.erlang_version,
      clusterName: overview.cluster_name,
      areStatisticsOff: overview.disable_stats,
      areOperatorPoliciesFixed: !overview.is_op_policy_updating_enabled,
    }),
  );

/** The user that the API authenticated. */
export interface Identity {
  readonly name: string;
  readonly tags: readonly string[];
}

export const identitySchema = z.object({ name: z.string(), tags });

/** A feature of RabbitMQ that an operator enables after an upgrade, once all nodes have it. */
export interface FeatureFlag {
  readonly name: string;
  readonly isEnabled: boolean;
}

export const featureFlagSchema = z
  .object({ name: z.string(), state: z.string() })
  .transform(({ name, state }): FeatureFlag => ({ name, isEnabled: state === 'enabled' }));

/** The limits of a vhost; absent or negative: none. */
export interface VhostLimits {
  readonly 'max-connections'?: number | undefined;
  readonly 'max-queues'?: number | undefined;
}

export const vhostLimitsSchema = z
  .array(z.object({ value: z.object({ 'max-connections': z.number(), 'max-queues': z.number() }).partial() }))
  .transform((listed): VhostLimits => listed[0]?.value ?? {});
