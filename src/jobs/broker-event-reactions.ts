import type { AgentContext } from '../context.ts';
import type { Alarms } from '../broker/alarms.ts';
import type { BindingCreated, BrokerEvent } from '../broker/amqp/broker-events.ts';
import { type BindingRemover, isForeignBinding } from '../broker/foreign-bindings.ts';
import { namespaceOfAccount } from '../namespaces/accounts/account-names.ts';
import { namespaceOfQueue } from '../queues/queue-names.ts';

/** What decides about an event. */
export interface ReactionOptions {
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
export function decideReaction(settings: ReactionOptions, event: BrokerEvent): Reaction {
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
  readonly settings: ReactionOptions;
  /** Asks for the repair of a namespace's accounts. */
  readonly repair: (namespace: string) => void;
  readonly alarms: Pick<Alarms, 'apply'>;
  readonly bindings: Pick<BindingRemover, 'remove'>;
  readonly queues: QueueObserver;
  readonly reporters: Pick<AgentContext['reporters'], 'foreignBindingRemoved' | 'foreignBindingNotRemoved'>;
}

/** What is done about queues: in memory and at once, as these events come in bursts. */
export interface QueueObserver {
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
        if (event.type === 'alarm.set' || event.type === 'alarm.cleared') parts.alarms.apply(event);
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

async function unbind({ settings, bindings, reporters }: ReactionParts, binding: BindingCreated): Promise<void> {
  const { by } = binding;
  try {
    if (!(await bindings.remove(binding))) {
      reporters.foreignBindingNotRemoved(binding);
      return;
    }
  } catch (error) {
    reporters.foreignBindingNotRemoved(binding, error);
    return;
  }
  const namespace = by === undefined ? undefined : namespaceOfAccount(settings, by);
  reporters.foreignBindingRemoved(binding, { user: by, namespace });
}
