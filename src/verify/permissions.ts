import { EVENT_EXCHANGE } from '../broker/amqp/broker-events.ts';
import type { Permissions } from '../broker/management/management.ts';
import { contractNames } from '../contract/names.ts';

type Right = keyof Permissions;

/** A right that somebody needs on something of this name. */
export interface RequiredPermission {
  readonly permission: Right;
  readonly name: string;
}

/** The name under which RabbitMQ checks the right to publish to the default exchange, and with it into every queue. */
const DEFAULT_EXCHANGE = 'amq.default';

/**
 * What the agent's account must be allowed in the agent's vhost. To delete what a namespace owns it must be allowed to
 * configure it, and to remove a foreign binding to read where that comes from.
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
    // Dead letters are for people: the agent itself never reads them.
    ...[...all.filter((name) => name !== names.deadQueue), `exchange/${namespacePrefix}a/b`].map(
      (name): RequiredPermission => ({ permission: 'read', name }),
    ),
  ];
}

/** What it must be allowed in the vhost of the event exchange. */
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
 * The rights that these permissions do not give. Patterns match anywhere in a name unless they are anchored; an empty one
 * matches nothing, as in RabbitMQ.
 */
export function missingPermissions(
  permissions: Permissions | undefined,
  needed: readonly RequiredPermission[],
): readonly RequiredPermission[] {
  if (permissions === undefined) return needed;
  return needed.filter(({ permission: right, name }) => !matches(permissions[right], name));
}

function matches(pattern: string, name: string): boolean {
  if (pattern === '') return false;
  try {
    return new RegExp(pattern, 'u').test(name);
  } catch {
    // RabbitMQ's own flavour of patterns has more than JavaScript's.
    return false;
  }
}
