import type { Alarms } from '../broker/alarms.ts';
import type { AlarmEvent, BrokerEvent } from '../broker/amqp/broker-events.ts';
import { namespaceOfAccount } from '../contract/names.ts';
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
      const namespace = namespaceOfAccount(options, event.user);
      return namespace === undefined ? NONE : { kind: 'repair', namespace };
    }
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
  }
}

interface ReactionParts {
  readonly options: ReactionOptions;
  /** Requests the repair of a namespace's accounts. */
  readonly repair: (namespace: string) => void;
  readonly alarms: Pick<Alarms, 'apply'>;
  readonly queues: QueueObserver;
}

/** Takes events about queues, in memory and synchronously: they arrive in bursts. */
export interface QueueObserver {
  inspectSoon(queue: string, isNew: boolean): void;
  forget(queue: string): void;
}

/** Creates the function that reacts to an event. It does not throw. */
export function createBrokerEventReactions(parts: ReactionParts): (event: BrokerEvent) => void {
  const { options, repair, alarms, queues } = parts;
  return (event) => {
    const reaction = decideReaction(options, event);
    switch (reaction.kind) {
      case 'none':
        return;
      case 'repair':
        repair(reaction.namespace);
        return;
      case 'alarm':
        alarms.apply(reaction.event);
        return;
      case 'inspect':
        queues.inspectSoon(reaction.queue, reaction.isNew);
        return;
      case 'forget':
        queues.forget(reaction.queue);
        return;
    }
  };
}
