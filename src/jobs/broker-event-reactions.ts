import type { Alarms } from '../broker/alarms.ts';
import type { BindingRemover } from '../broker/amqp/binding-remover.ts';
import type { AlarmEvent, BindingCreated, BrokerEvent } from '../broker/amqp/broker-events.ts';
import { isForeignBinding } from '../broker/foreign-bindings.ts';
import type { AgentContext } from '../context.ts';
import { namespaceOfAccount } from '../namespaces/accounts/account-names.ts';
import { namespaceOfQueue } from '../queues/queue-names.ts';

export interface ReactionOptions {
  readonly id: string;
  readonly vhost: string;
  readonly usernamePrefix: string;
  readonly namespacePrefix: string;
  /** The agent's own RabbitMQ users, whose changes are intended. */
  readonly ownUsers: ReadonlySet<string>;
}

/** The reaction to one event. */
type Reaction =
  | { readonly kind: 'none' }
  | { readonly kind: 'repair'; readonly namespace: string }
  | { readonly kind: 'unbind'; readonly binding: BindingCreated }
  /** The queue is new or has lost a consumer. */
  | { readonly kind: 'inspect'; readonly queue: string; readonly isNew: boolean }
  /** The queue is deleted. */
  | { readonly kind: 'forget'; readonly queue: string }
  | { readonly kind: 'alarm'; readonly event: AlarmEvent };

const NONE: Reaction = { kind: 'none' };

/** Decides the reaction to an event. Events are late, repeated, out of order or lost: they only show where to check. */
export function decideReaction(options: ReactionOptions, event: BrokerEvent): Reaction {
  switch (event.type) {
    case 'user.created':
    case 'user.deleted':
    case 'user.password.changed':
    case 'user.tags.set':
    case 'user.limits.set':
    case 'user.limits.cleared':
    case 'permission.created':
    case 'permission.deleted': {
      if (event.by !== undefined && options.ownUsers.has(event.by)) return NONE;
      if ('vhost' in event && event.vhost !== options.vhost) return NONE;
      const namespace = namespaceOfAccount(options, event.user);
      return namespace === undefined ? NONE : { kind: 'repair', namespace };
    }
    case 'binding.created':
      return isForeignBinding(options.id, options.vhost, event) ? { kind: 'unbind', binding: event } : NONE;
    case 'alarm.set':
    case 'alarm.cleared':
      return { kind: 'alarm', event };
    case 'queue.created':
    case 'queue.deleted':
    case 'consumer.deleted': {
      const { vhost, queue } = event;
      if (vhost !== options.vhost || namespaceOfQueue(options.namespacePrefix, queue) === undefined) return NONE;
      if (event.type === 'queue.deleted') return { kind: 'forget', queue };
      return { kind: 'inspect', queue, isNew: event.type === 'queue.created' };
    }
    // A new consumer makes no queue grow, and reconciliation lists connections to check their age.
    case 'consumer.created':
    case 'connection.created':
    case 'connection.closed':
      return NONE;
  }
}

interface ReactionParts {
  readonly options: ReactionOptions;
  /** Requests the repair of a namespace's accounts. */
  readonly repair: (namespace: string) => void;
  readonly alarms: Pick<Alarms, 'apply'>;
  readonly bindings: Pick<BindingRemover, 'remove'>;
  readonly queues: QueueObserver;
  readonly reporters: Pick<AgentContext['reporters'], 'foreignBindingRemoved' | 'foreignBindingNotRemoved'>;
}

/** Takes events about queues, in memory and synchronously: they arrive in bursts. */
export interface QueueObserver {
  inspectSoon(queue: string, isNew: boolean): void;
  forget(queue: string): void;
}

/**
 * Creates the function that reacts to an event. It returns a promise where the event may be acknowledged only after the
 * reaction. It does not throw.
 */
export function createBrokerEventReactions(parts: ReactionParts): (event: BrokerEvent) => Promise<void> | undefined {
  const { options, repair, alarms, queues } = parts;
  return (event) => {
    const reaction = decideReaction(options, event);
    switch (reaction.kind) {
      case 'none':
        return undefined;
      case 'repair':
        repair(reaction.namespace);
        return undefined;
      case 'alarm':
        alarms.apply(reaction.event);
        return undefined;
      case 'inspect':
        queues.inspectSoon(reaction.queue, reaction.isNew);
        return undefined;
      case 'forget':
        queues.forget(reaction.queue);
        return undefined;
      case 'unbind':
        return unbind(parts, reaction.binding);
    }
  };
}

async function unbind({ options, bindings, reporters }: ReactionParts, binding: BindingCreated): Promise<void> {
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
  const namespace = by === undefined ? undefined : namespaceOfAccount(options, by);
  reporters.foreignBindingRemoved(binding, { user: by, namespace });
}
