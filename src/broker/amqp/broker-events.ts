import { contractNames } from '../../contract/names.ts';

/** The exchange of RabbitMQ's own events, which the plugin `rabbitmq_event_exchange` declares. */
export const EVENT_EXCHANGE = 'amq.rabbitmq.event';

/**
 * The routing keys of the events that only administrators and RabbitMQ itself can cause. They have a queue of their own, so
 * that no flood of {@link TENANT_EVENT_TYPES} delays the repair of an account.
 */
export const ADMINISTRATION_EVENT_TYPES = [
  'user.created',
  'user.deleted',
  'user.password.changed',
  'user.tags.set',
  'user.limits.set',
  'user.limits.cleared',
  'permission.created',
  'permission.deleted',
  'alarm.set',
  'alarm.cleared',
] as const;

/**
 * The routing keys of the events that a claimed account can cause, as often as it likes. Only those that the agent reacts to:
 * every client pays for an event that is bound. A new consumer makes no queue grow, and reconciliation lists connections.
 */
export const TENANT_EVENT_TYPES = ['queue.created', 'queue.deleted', 'consumer.deleted'] as const;

/** The routing keys of the event exchange that the agent binds. */
export const BROKER_EVENT_TYPES = [...TENANT_EVENT_TYPES, ...ADMINISTRATION_EVENT_TYPES] as const;

/** The queues of broker events, with the routing keys that are bound to each. */
export function brokerEventQueues(
  id: string,
): readonly { readonly queue: string; readonly types: readonly string[] }[] {
  const { brokerEventsQueue, tenantEventsQueue } = contractNames(id);
  return [
    { queue: brokerEventsQueue, types: ADMINISTRATION_EVENT_TYPES },
    { queue: tenantEventsQueue, types: TENANT_EVENT_TYPES },
  ];
}

/** A routing key that {@link readBrokerEvent} knows. */
type BrokerEventType = (typeof BROKER_EVENT_TYPES)[number];

/** Fields of every event; RabbitMQ omits those that do not apply. */
interface EventBase {
  /** When it happened, by the broker's clock, in ms since the epoch. */
  readonly atMs: number | undefined;
  /** The RabbitMQ user that did it; `rmq-internal` is the broker itself. */
  readonly by: string | undefined;
}

/** A queue was declared or deleted. Non-durable queues that a restart loses emit no event. */
interface QueueEvent extends EventBase {
  readonly type: 'queue.created' | 'queue.deleted';
  readonly vhost: string;
  readonly queue: string;
}

/** A queue lost a consumer. */
interface ConsumerEvent extends EventBase {
  readonly type: 'consumer.deleted';
  readonly vhost: string;
  readonly queue: string;
}

/** A user was created, deleted or changed. A password that is set as a hash changes without an event. */
interface UserEvent extends EventBase {
  readonly type:
    | 'user.created'
    | 'user.deleted'
    | 'user.password.changed'
    | 'user.tags.set'
    | 'user.limits.set'
    | 'user.limits.cleared';
  readonly user: string;
}

/** Permissions were written, also without a change, or deleted. */
interface PermissionEvent extends EventBase {
  readonly type: 'permission.created' | 'permission.deleted';
  readonly vhost: string;
  readonly user: string;
}

/** An alarm of a node was set or cleared. In between RabbitMQ blocks connections that publish. */
export interface AlarmEvent extends EventBase {
  readonly type: 'alarm.set' | 'alarm.cleared';
  /** RabbitMQ's name of the alarm: `memory`, `disk`. */
  readonly alarm: string;
  readonly node: string | undefined;
}

/** One event of the broker, with the fields that the agent uses. */
export type BrokerEvent = QueueEvent | ConsumerEvent | UserEvent | PermissionEvent | AlarmEvent;

/** The headers of a message, as amqplib decodes them. */
export type Headers = Readonly<Record<string, unknown>>;

/**
 * Reads an event from its headers, which differ between versions of RabbitMQ: unknown ones are ignored.
 *
 * @param routingKey the type of the event
 * @returns undefined for an unknown type, and where a header is missing that the agent needs
 * @example
 * readBrokerEvent('user.deleted', { name: 'taskcluster-x-1', user_who_performed_action: 'operator' });
 */
export function readBrokerEvent(routingKey: string, headers: Headers): BrokerEvent | undefined {
  if (!isBrokerEventType(routingKey)) return undefined;
  const base: EventBase = { atMs: number(headers['timestamp_in_ms']), by: text(headers['user_who_performed_action']) };
  const name = text(headers['name']);
  const vhost = text(headers['vhost']);
  const user = text(headers['user']);
  switch (routingKey) {
    case 'queue.created':
    case 'queue.deleted':
      return vhost === undefined || name === undefined ? undefined : { type: routingKey, vhost, queue: name, ...base };
    case 'consumer.deleted': {
      const queue = text(headers['queue']);
      return vhost === undefined || queue === undefined ? undefined : { type: routingKey, vhost, queue, ...base };
    }
    case 'user.limits.set':
    case 'user.limits.cleared': {
      // `name` is the name of the parameter here: `limits`.
      const limited = text(headers['username']);
      return limited === undefined ? undefined : { type: routingKey, user: limited, ...base };
    }
    case 'user.created':
    case 'user.deleted':
    case 'user.password.changed':
    case 'user.tags.set':
      return name === undefined ? undefined : { type: routingKey, user: name, ...base };
    case 'permission.created':
    case 'permission.deleted':
      return vhost === undefined || user === undefined ? undefined : { type: routingKey, vhost, user, ...base };
    case 'alarm.set':
    case 'alarm.cleared': {
      const alarm = text(headers['source']);
      return alarm === undefined ? undefined : { type: routingKey, alarm, node: text(headers['node']), ...base };
    }
  }
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
