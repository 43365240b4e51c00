import { brokerEventQueues, EVENT_EXCHANGE } from '../broker/amqp/broker-events.ts';
import type { Permissions } from '../broker/management/management.ts';
import type { QueueRule } from '../config/queue-rules.ts';
import { contractNames, pageEventsQueue } from '../contract/names.ts';

/** A permission that is needed for an object of this name. */
export interface RequiredPermission {
  readonly permission: keyof Permissions;
  readonly name: string;
}

/**
 * The permissions that the agent's account needs in the vhost of the tenants: configure on the queues and exchanges of
 * namespaces to delete them, read on queues where a rule has them purged, and all on the exchange of its events. In the vhost
 * of the requests it grants its own.
 */
export function agentPermissions(
  id: string,
  namespacePrefix: string,
  rules: readonly Pick<QueueRule, 'onOvergrown'>[] = [],
): RequiredPermission[] {
  const { eventsExchange } = contractNames(id);
  return [
    { permission: 'configure', name: eventsExchange },
    { permission: 'configure', name: `queue/${namespacePrefix}a/b` },
    { permission: 'configure', name: `exchange/${namespacePrefix}a/b` },
    { permission: 'write', name: eventsExchange },
    ...(rules.some(({ onOvergrown }) => onOvergrown === 'purge')
      ? [{ permission: 'read', name: `queue/${namespacePrefix}a/b` } as const]
      : []),
  ];
}

/** The permissions that it needs in the vhost of the event exchange. */
export function brokerEventPermissions(id: string): RequiredPermission[] {
  return [
    ...brokerEventQueues(id).flatMap(({ queue: name }) => [
      { permission: 'configure', name } as const,
      { permission: 'write', name } as const,
      { permission: 'read', name } as const,
    ]),
    { permission: 'read', name: EVENT_EXCHANGE },
  ];
}

/** The permissions that it needs in the vhost of the tenants for the events of all agents on the page for operators. */
export function pageEventPermissions(id: string): RequiredPermission[] {
  const queue = pageEventsQueue(id, 'agent-1');
  return [
    { permission: 'configure', name: queue },
    { permission: 'write', name: queue },
    { permission: 'read', name: queue },
    { permission: 'read', name: contractNames(id).eventsExchange },
  ];
}

/**
 * The needed permissions that these patterns do not grant. As in RabbitMQ, a pattern matches anywhere in a name unless it
 * is anchored, and an empty one matches nothing.
 */
export function missingPermissions(
  permissions: Permissions | undefined,
  needed: readonly RequiredPermission[],
): readonly RequiredPermission[] {
  if (permissions === undefined) return needed;
  return needed.filter(({ permission, name }) => !matches(permissions[permission], name));
}

function matches(pattern: string, name: string): boolean {
  if (pattern === '') return false;
  try {
    return new RegExp(pattern, 'u').test(name);
  } catch {
    // RabbitMQ's regular expressions (PCRE) have features that JavaScript lacks.
    return false;
  }
}
