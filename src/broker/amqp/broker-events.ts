/** The broker's own exchange of events, made by the plugin `rabbitmq_event_exchange`. */
export const EVENT_EXCHANGE = 'amq.rabbitmq.event';

/** The routing keys of the event exchange that the agent uses, and so binds. */
export const BROKER_EVENT_TYPES = [
  'queue.created',
  'queue.deleted',
  'consumer.created',
  'consumer.deleted',
  'connection.created',
  'connection.closed',
  'user.created',
  'user.deleted',
  'user.password.changed',
  'user.tags.set',
  'user.limits.set',
  'user.limits.cleared',
  'permission.created',
  'permission.deleted',
  'binding.created',
  'alarm.set',
  'alarm.cleared',
] as const;

/** A routing key that {@link readBrokerEvent} knows. */
export type BrokerEventType = (typeof BROKER_EVENT_TYPES)[number];

/** What every event may tell; RabbitMQ leaves out what does not apply. */
interface EventBase {
  /** When it happened by the broker's clock, in ms since the epoch. */
  readonly atMs: number | undefined;
  /** The RabbitMQ user who did it; `rmq-internal` is the broker itself. */
  readonly by: string | undefined;
}

/** A queue came or went. Non-durable queues that a restart loses go without an event. */
export interface QueueEvent extends EventBase {
  readonly type: 'queue.created' | 'queue.deleted';
  readonly vhost: string;
  readonly queue: string;
}

/** A consumer of a queue came or went. */
export interface ConsumerEvent extends EventBase {
  readonly type: 'consumer.created' | 'consumer.deleted';
  readonly vhost: string;
  readonly queue: string;
}

/** A connection was opened. */
export interface ConnectionCreated extends EventBase {
  readonly type: 'connection.created';
  /** RabbitMQ's name of it. */
  readonly connection: string;
  readonly vhost: string;
  readonly user: string;
}

/** A connection was closed. RabbitMQ does not say whose it was. */
export interface ConnectionClosed extends EventBase {
  readonly type: 'connection.closed';
  /** RabbitMQ's name of it. */
  readonly connection: string;
}

/** A user came, went or changed. A password set as a hash changes without an event. */
export interface UserEvent extends EventBase {
  readonly type:
    | 'user.created'
    | 'user.deleted'
    | 'user.password.changed'
    | 'user.tags.set'
    | 'user.limits.set'
    | 'user.limits.cleared';
  readonly user: string;
}

/** Permissions were written, even if nothing changed by it, or removed. */
export interface PermissionEvent extends EventBase {
  readonly type: 'permission.created' | 'permission.deleted';
  readonly vhost: string;
  readonly user: string;
}

/** A binding was made. */
export interface BindingCreated extends EventBase {
  readonly type: 'binding.created';
  readonly vhost: string;
  /** The exchange that it brings messages from. */
  readonly source: string;
  readonly destination: string;
  readonly destinationKind: 'queue' | 'exchange';
  /** As UTF-8: bytes that are none come as U+FFFD, and the key is then not the real one. */
  readonly routingKey: string;
  /** Whether it has arguments. They come as text in Erlang's own form, which nothing here reads. */
  readonly hasArguments: boolean;
}

/** An alarm of a node was set or cleared; until it is cleared, connections that publish are blocked. */
export interface AlarmEvent extends EventBase {
  readonly type: 'alarm.set' | 'alarm.cleared';
  /** RabbitMQ's name of it: `memory`, `disk`. */
  readonly alarm: string;
  readonly node: string | undefined;
}

/** One event of the broker, as far as the agent uses it. */
export type BrokerEvent =
  | QueueEvent
  | ConsumerEvent
  | ConnectionCreated
  | ConnectionClosed
  | UserEvent
  | PermissionEvent
  | BindingCreated
  | AlarmEvent;

/** The headers of a message, as amqplib decodes them. */
export type Headers = Readonly<Record<string, unknown>>;

/**
 * Reads an event. Everything is in its headers, and those differ between versions of RabbitMQ: unknown ones are passed
 * over, and an event without the ones that it is about is undefined, as is one of another type.
 *
 * @param routingKey The key it was published with: its type.
 * @example
 * readBrokerEvent('user.deleted', { name: 'taskcluster-x-1', user_who_performed_action: 'operator' });
 */
export function readBrokerEvent(routingKey: string, headers: Headers): BrokerEvent | undefined {
  if (!isBrokerEventType(routingKey)) return undefined;
  const told: EventBase = { atMs: number(headers['timestamp_in_ms']), by: text(headers['user_who_performed_action']) };
  const name = text(headers['name']);
  const vhost = text(headers['vhost']);
  const user = text(headers['user']);
  switch (routingKey) {
    case 'queue.created':
    case 'queue.deleted':
      return vhost === undefined || name === undefined ? undefined : { type: routingKey, vhost, queue: name, ...told };
    case 'consumer.created':
    case 'consumer.deleted': {
      const queue = text(headers['queue']);
      return vhost === undefined || queue === undefined ? undefined : { type: routingKey, vhost, queue, ...told };
    }
    case 'connection.created':
      if (name === undefined || vhost === undefined || user === undefined) return undefined;
      return { type: routingKey, connection: name, vhost, user, ...told };
    case 'connection.closed':
      return name === undefined ? undefined : { type: routingKey, connection: name, ...told };
    case 'user.limits.set':
    case 'user.limits.cleared': {
      // Here `name` is that of the parameter: `limits`.
      const limited = text(headers['username']);
      return limited === undefined ? undefined : { type: routingKey, user: limited, ...told };
    }
    case 'user.created':
    case 'user.deleted':
    case 'user.password.changed':
    case 'user.tags.set':
      return name === undefined ? undefined : { type: routingKey, user: name, ...told };
    case 'permission.created':
    case 'permission.deleted':
      return vhost === undefined || user === undefined ? undefined : { type: routingKey, vhost, user, ...told };
    case 'binding.created':
      return readBinding(headers, told);
    case 'alarm.set':
    case 'alarm.cleared': {
      const alarm = text(headers['source']);
      return alarm === undefined ? undefined : { type: routingKey, alarm, node: text(headers['node']), ...told };
    }
  }
}

function readBinding(headers: Headers, told: EventBase): BindingCreated | undefined {
  const vhost = text(headers['vhost']);
  const source = text(headers['source_name']);
  const destination = text(headers['destination_name']);
  const destinationKind = headers['destination_kind'];
  if (vhost === undefined || source === undefined || destination === undefined) return undefined;
  if (destinationKind !== 'queue' && destinationKind !== 'exchange') return undefined;
  const given = headers['arguments'];
  return {
    type: 'binding.created',
    vhost,
    source,
    destination,
    destinationKind,
    routingKey: text(headers['routing_key']) ?? '',
    hasArguments: Array.isArray(given) ? given.length > 0 : given !== undefined && given !== null && given !== '',
    ...told,
  };
}

function isBrokerEventType(key: string): key is BrokerEventType {
  const types: readonly string[] = BROKER_EVENT_TYPES;
  return types.includes(key);
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

function number(value: unknown): number | undefined {
  return typeof value === 'number' ? value : undefined;
}
