import { WireError } from '../../contract/wire-errors.ts';
import { readNamespace } from '../../namespaces/read-namespaces.ts';
import type { NamespaceCounts } from '../../queues/namespace-counts.ts';
import type { NamespaceStore } from '../../store/store.ts';
import type { MethodHandler } from '../method.ts';
import { viewsFor } from './namespace-views.ts';

/** Returns one namespace. */
export function getNamespaceMethod(store: NamespaceStore, readCounts: NamespaceCounts): MethodHandler<'get-namespace'> {
  return async ({ namespace }, { signer }) => {
    const record = await readNamespace(store, namespace);
    const [view] = record === undefined ? [] : await viewsFor(signer, [record], readCounts);
    if (view === undefined) throw new WireError('ResourceNotFound', `There is no namespace ${namespace}.`);
    return view;
  };
}
