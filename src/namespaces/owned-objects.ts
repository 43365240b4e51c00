import type { Management } from '../broker/management/management.ts';

/** The queues and exchanges of one namespace. */
export interface OwnedObjects {
  readonly queues: string[];
  readonly exchanges: string[];
}

/** The namespace that a queue or an exchange would belong to by its name; undefined: to none. */
function ownerOf(kind: 'queue' | 'exchange', name: string): string | undefined {
  const [first, namespace, rest] = name.split('/', 3);
  return first === kind && rest !== undefined ? namespace : undefined;
}

/**
 * Lists the names to which queues `queue/<name>/…` or exchanges `exchange/<name>/…` belong, each with one of these.
 *
 * @throws AgentError `BrokerUnavailable`
 */
export async function listObjectOwners(
  management: Pick<Management, 'listQueueNames' | 'listExchanges'>,
  vhost: string,
): Promise<ReadonlyMap<string, string>> {
  const [queues, exchanges] = await Promise.all([management.listQueueNames(vhost), management.listExchanges(vhost)]);
  const owners = new Map<string, string>();
  const add = (kind: 'queue' | 'exchange', name: string): void => {
    const owner = ownerOf(kind, name);
    if (owner !== undefined) owners.set(owner, name);
  };
  for (const name of queues) add('queue', name);
  for (const { name } of exchanges) add('exchange', name);
  return owners;
}

/**
 * Lists the queues `queue/<namespace>/…` and exchanges `exchange/<namespace>/…` of these namespaces.
 *
 * @returns those namespaces that own something.
 * @throws AgentError `BrokerUnavailable`
 */
export async function listOwnedObjects(
  management: Pick<Management, 'listQueueNames' | 'listExchanges'>,
  vhost: string,
  namespaces: ReadonlySet<string>,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, OwnedObjects>> {
  const [queues, exchanges] = await Promise.all([
    management.listQueueNames(vhost, { signal }),
    management.listExchanges(vhost, { signal }),
  ]);
  const owned = new Map<string, OwnedObjects>();
  const ownedBy = (kind: 'queue' | 'exchange', name: string): OwnedObjects | undefined => {
    const namespace = ownerOf(kind, name);
    if (namespace === undefined || !namespaces.has(namespace)) return undefined;
    const objects = owned.get(namespace) ?? { queues: [], exchanges: [] };
    owned.set(namespace, objects);
    return objects;
  };
  for (const name of queues) ownedBy('queue', name)?.queues.push(name);
  for (const { name } of exchanges) ownedBy('exchange', name)?.exchanges.push(name);
  return owned;
}
