import { WireError } from '../../contract/wire-errors.ts';
import { NAMESPACE_PATTERN } from '../../contract/names.ts';
import { listNamespaces } from '../../namespaces/read-namespaces.ts';
import type { NamespaceCounts } from '../../queues/namespace-counts.ts';
import type { NamespaceStore } from '../../store/store.ts';
import type { MethodHandler } from '../method.ts';
import { viewsFor } from './namespace-views.ts';

/** Returns namespaces page by page, without state: the token is the last name of the previous page. */
export function listNamespacesMethod(
  store: NamespaceStore,
  readCounts: NamespaceCounts,
): MethodHandler<'list-namespaces'> {
  return async ({ limit, continuationToken }, { signer }) => {
    const after = continuationToken === undefined ? undefined : nameIn(continuationToken);
    const page = await listNamespaces(store, { after, limit });
    return {
      namespaces: await viewsFor(signer, page.namespaces, readCounts),
      ...(page.lastName === undefined ? {} : { continuationToken: Buffer.from(page.lastName).toString('base64url') }),
    };
  };
}

function nameIn(token: string): string {
  const name = Buffer.from(token, 'base64url').toString();
  if (NAMESPACE_PATTERN.test(name)) return name;
  throw new WireError('InputError', 'The field continuationToken must be the one of the previous page.', {
    details: { field: 'continuationToken' },
  });
}
