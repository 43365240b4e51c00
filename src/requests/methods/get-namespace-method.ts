import { WireError } from '../../contract/wire-errors.ts';
import { formatInstant } from '../../contract/fields.ts';
import type { ResultBody } from '../../contract/methods.ts';
import { describeBlock } from '../../namespaces/deletion/deletion-block.ts';
import { type ReadableNamespace, readNamespace } from '../../namespaces/read-namespaces.ts';
import type { NamespaceStore } from '../../store/store.ts';
import type { MethodHandler } from '../method.ts';

/** The public view of a namespace. */
export function viewOf(record: ReadableNamespace): ResultBody<'get-namespace'> {
  return {
    namespace: record.namespace,
    created: formatInstant(record.createdMs),
    expires: formatInstant(record.expiresMs),
    state: record.state,
    ...(record.deletionBlock === undefined ? {} : { blockedBy: describeBlock(record.deletionBlock) }),
  };
}

/** Returns one namespace. */
export function getNamespaceMethod(store: NamespaceStore): MethodHandler<'get-namespace'> {
  return async ({ namespace }) => {
    const record = await readNamespace(store, namespace);
    if (record === undefined) throw new WireError('ResourceNotFound', `There is no namespace ${namespace}.`);
    return viewOf(record);
  };
}
