import { EVENT_EXCHANGE } from '../broker/amqp/broker-events.ts';
import type { Permissions } from '../broker/management/management.ts';
import { contractNames } from '../contract/names.ts';

/** A permission that is needed for an object of this name. */
export interface RequiredPermission {
  readonly permission: keyof Permissions;
  readonly name: string;
}

/** RabbitMQ's name of the default exchange in permissions. Write access to it allows to publish into every queue. */
const DEFAULT_EXCHANGE = 'amq.default';

/**
 * The permissions that the agent's account needs in the agent's vhost. It needs configure on the queues and exchanges of
 * namespaces to delete them, and read on exchanges to remove foreign bindings.
 */
export function agentPermissions(id: string, namespacePrefix: string): RequiredPermission[] {
  const names = contractNames(id);
  const exchanges = [names.rpcExchange, names.deadExchange, names.eventsExchange];
  const queues = [names.requestQueue, names.deadQueue, names.unknownMethodsQueue];
  const all = [...exchanges, ...queues];
  const ofNamespaces = [`queue/${namespacePrefix}a/b`, `exchange/${namespacePrefix}a/b`];
  return [
    ...[...all, ...ofNamespaces].map((name): RequiredPermission => ({ permission: 'configure', name })),
    ...[DEFAULT_EXCHANGE, ...all].map((name): RequiredPermission => ({ permission: 'write', name })),
    // Operators read the dead letters, the agent does not.
    ...[...all.filter((name) => name !== names.deadQueue), `exchange/${namespacePrefix}a/b`].map(
      (name): RequiredPermission => ({ permission: 'read', name }),
    ),
  ];
}

/** The permissions that it needs in the vhost of the event exchange. */
export function brokerEventPermissions(id: string): RequiredPermission[] {
  const name = contractNames(id).brokerEventsQueue;
  return [
    { permission: 'configure', name },
    { permission: 'write', name },
    { permission: 'read', name },
    { permission: 'read', name: EVENT_EXCHANGE },
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
