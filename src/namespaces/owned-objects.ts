import type { Management } from '../broker/management/management.ts';

/** The queues and exchanges of one namespace. */
export interface OwnedObjects {
  readonly queues: string[];
  readonly exchanges: string[];
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
    const [first, namespace = '', rest] = name.split('/', 3);
    if (first !== kind || rest === undefined || !namespaces.has(namespace)) return undefined;
    const objects = owned.get(namespace) ?? { queues: [], exchanges: [] };
    owned.set(namespace, objects);
    return objects;
  };
  for (const name of queues) ownedBy('queue', name)?.queues.push(name);
  for (const { name } of exchanges) ownedBy('exchange', name)?.exchanges.push(name);
  return owned;
}
