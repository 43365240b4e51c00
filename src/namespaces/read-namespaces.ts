import type { NamespaceRecord, NamespaceState } from '../store/namespace-record.ts';
import type { NamespaceStore } from '../store/store.ts';

/** A namespace as clients see it: a tombstone is no namespace to them. */
export type ReadableNamespace = NamespaceRecord & { readonly state: Exclude<NamespaceState, 'deleted'> };

const READABLE_STATES = ['provisioning', 'active', 'expiring'] as const;

function isReadable(record: NamespaceRecord | undefined): record is ReadableNamespace {
  return record !== undefined && record.state !== 'deleted';
}

/** A namespace by its name; undefined when there is none, or a tombstone. */
export async function readNamespace(
  store: Pick<NamespaceStore, 'get'>,
  namespace: string,
): Promise<ReadableNamespace | undefined> {
  const record = await store.get(namespace);
  return isReadable(record) ? record : undefined;
}

/** A page of namespaces, sorted by name. */
interface NamespacePage {
  readonly namespaces: readonly ReadableNamespace[];
  /** The name after which the next page begins; absent on the last page. */
  readonly lastName?: string;
}

/** The namespaces after a name, at most `limit`. */
export async function listNamespaces(
  store: NamespaceStore,
  { after, limit }: { readonly after?: string | undefined; readonly limit: number },
): Promise<NamespacePage> {
  // One more than requested shows whether there is a next page.
  const found = await store.list({
    limit: limit + 1,
    states: READABLE_STATES,
    ...(after === undefined ? {} : { after }),
  });
  const namespaces = found.slice(0, limit).filter(isReadable);
  const last = namespaces.at(-1);
  return found.length > limit && last !== undefined ? { namespaces, lastName: last.namespace } : { namespaces };
}
