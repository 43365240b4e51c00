import type { Alarms } from '../broker/alarms.ts';
import type { BindingCreated, BrokerEvent } from '../broker/amqp/broker-events.ts';
import { type BindingRemover, isForeignBinding } from '../broker/foreign-bindings.ts';
import type { Log } from '../util/log.ts';
import { namespaceOfAccount } from '../namespaces/accounts/account-names.ts';
import type { AgentEvents } from '../events/agent-events.ts';
import { namespaceOfQueue } from '../queues/managed-queue.ts';

/** What decides about an event. */
export interface ReactionSettings {
  readonly id: string;
  readonly vhost: string;
  readonly usernamePrefix: string;
  readonly namespacePrefix: string;
  /** The agent's own RabbitMQ users: what they do is meant. */
  readonly ownUsers: ReadonlySet<string>;
}

/** What an event asks for. */
export type Reaction =
  | { readonly what: 'none' }
  | { readonly what: 'repair'; readonly namespace: string }
  | { readonly what: 'unbind'; readonly binding: BindingCreated }
  /** Look at a queue soon, as it is new or has lost a consumer. */
  | { readonly what: 'look'; readonly queue: string; readonly isNew: boolean }
  /** Nothing known of a queue holds any more. */
  | { readonly what: 'forget'; readonly queue: string }
  | { readonly what: 'alarm' };

const NONE: Reaction = { what: 'none' };

/** Decides what an event asks for. Events come late, twice, out of order or not at all: they only say where to look. */
export function decideReaction(settings: ReactionSettings, event: BrokerEvent): Reaction {
  switch (event.type) {
    case 'user.created':
    case 'user.deleted':
    case 'user.password.changed':
    case 'user.tags.set':
    case 'user.limits.set':
    case 'user.limits.cleared':
    case 'permission.created':
    case 'permission.deleted': {
      if (event.by !== undefined && settings.ownUsers.has(event.by)) return NONE;
      if ('vhost' in event && event.vhost !== settings.vhost) return NONE;
      const namespace = namespaceOfAccount(settings, event.user);
      return namespace === undefined ? NONE : { what: 'repair', namespace };
    }
    case 'binding.created':
      return isForeignBinding(settings.id, settings.vhost, event) ? { what: 'unbind', binding: event } : NONE;
    case 'alarm.set':
    case 'alarm.cleared':
      return { what: 'alarm' };
    case 'queue.created':
    case 'queue.deleted':
    case 'consumer.deleted': {
      const { vhost, queue } = event;
      if (vhost !== settings.vhost || namespaceOfQueue(settings.namespacePrefix, queue) === undefined) return NONE;
      if (event.type === 'queue.deleted') return { what: 'forget', queue };
      return { what: 'look', queue, isNew: event.type === 'queue.created' };
    }
    // A queue that gets a consumer does not grow for it, and connections are listed when their age is looked at.
    case 'consumer.created':
    case 'connection.created':
    case 'connection.closed':
      return NONE;
  }
}

/** What {@link createBrokerEventReactions} works with. */
export interface ReactionParts {
  readonly settings: ReactionSettings;
  /** Asks for the repair of a namespace's accounts. */
  readonly repair: (namespace: string) => void;
  readonly alarms: Pick<Alarms, 'take'>;
  readonly bindings: Pick<BindingRemover, 'remove'>;
  readonly queues: QueueWatch;
  readonly events: Pick<AgentEvents, 'emit'>;
  readonly log: Log;
}

/** What is done about queues: in memory and at once, as these events come in bursts. */
export interface QueueWatch {
  inspectSoon(queue: string, isNew: boolean): void;
  forget(queue: string): void;
}

/**
 * Does what an event asks for. It returns at once where a job was asked for, and else resolves when it is done: only
 * then may the broker forget the event. It does not throw.
 */
export function createBrokerEventReactions(parts: ReactionParts): (event: BrokerEvent) => Promise<void> | undefined {
  return (event) => {
    const reaction = decideReaction(parts.settings, event);
    switch (reaction.what) {
      case 'none':
        return undefined;
      case 'repair':
        parts.repair(reaction.namespace);
        return undefined;
      case 'alarm':
        if (event.type === 'alarm.set' || event.type === 'alarm.cleared') parts.alarms.take(event);
        return undefined;
      case 'look':
        parts.queues.inspectSoon(reaction.queue, reaction.isNew);
        return undefined;
      case 'forget':
        parts.queues.forget(reaction.queue);
        return undefined;
      case 'unbind':
        return unbind(parts, reaction.binding);
    }
  };
}

async function unbind({ settings, bindings, events, log }: ReactionParts, binding: BindingCreated): Promise<void> {
  const { source, destination, routingKey, by } = binding;
  const told = { source, destination, routingKey, user: by };
  try {
    if (!(await bindings.remove(binding))) {
      log.error(
        { code: 'foreign_binding_stuck', ...told },
        'cannot remove a foreign binding, because its routing key is not UTF-8; delete its source exchange',
      );
      return;
    }
  } catch (error) {
    log.error(
      { code: 'foreign_binding_not_removed', err: error, ...told },
      'could not remove a foreign binding; the next reconciliation does it',
    );
    return;
  }
  log.warn({ code: 'foreign_binding_removed', ...told }, 'removed a foreign binding');
  const namespace = by === undefined ? undefined : namespaceOfAccount(settings, by);
  if (by === undefined || namespace === undefined) return;
  events.emit('account.repaired', { namespace, account: by, repaired: ['binding'] });
}
