import { WireError } from '../../contract/wire-errors.ts';
import { NAMESPACE_PATTERN } from '../../contract/names.ts';
import { listNamespaces } from '../../namespaces/read-namespaces.ts';
import type { NamespaceStore } from '../../store/store.ts';
import type { MethodHandler } from '../method.ts';
import { viewOf } from './get-namespace-method.ts';

/** Tells about all namespaces, page by page. The token is the last name of the page before; it keeps no state. */
export function listNamespacesMethod(store: NamespaceStore): MethodHandler<'list-namespaces'> {
  return async ({ limit, continuationToken }) => {
    const after = continuationToken === undefined ? undefined : nameIn(continuationToken);
    const page = await listNamespaces(store, { after, limit });
    return {
      namespaces: page.namespaces.map(viewOf),
      ...(page.lastName === undefined ? {} : { continuationToken: Buffer.from(page.lastName).toString('base64url') }),
    };
  };
}

function nameIn(token: string): string {
  const name = Buffer.from(token, 'base64url').toString();
  if (NAMESPACE_PATTERN.test(name)) return name;
  throw new WireError('InputError', 'The field continuationToken must be the one that the page before came with.', {
    details: { field: 'continuationToken' },
  });
}
