import type { NamespaceRecord } from '../../store/namespace-record.ts';
import type { NamespaceStore } from '../../store/store.ts';
import type { DeleteNamespaces } from './delete-namespaces.ts';

/** What {@link createDeleteLeftovers} works with. */
export interface DeleteLeftoversParts {
  readonly store: Pick<NamespaceStore, 'get' | 'replace'>;
  readonly end: DeleteNamespaces;
}

/**
 * Makes the function that deletes what is there of namespaces that are gone.
 *
 * A tombstone whose name may be used again must not be deleted from: its owner may claim it at any moment, and no
 * later read of the record can take back a delete that is under way. So the tombstone is made an ending namespace first,
 * which refuses claims until nothing is left and 2F after that.
 */
export function createDeleteLeftovers({ store, end }: DeleteLeftoversParts): DeleteNamespaces {
  return async (namespaces, signal) => {
    const opened: string[] = [];
    for (const namespace of namespaces) {
      signal.throwIfAborted();
      const record = await store.get(namespace);
      if (record?.state !== 'deleted') continue;
      if (await store.replace(reopened(record), record.revision)) opened.push(namespace);
    }
    if (opened.length > 0) await end(opened, signal);
  };
}

/** Whoever looks for what is to be ended finds it, if this agent dies. */
function reopened(record: NamespaceRecord): NamespaceRecord {
  return {
    ...record,
    revision: record.revision + 1,
    state: 'expiring',
    endReason: record.endReason ?? 'expired',
    deletedAtMs: null,
    recheckAtMs: null,
  };
}
