import type { NamespaceRecord } from '../store/records.ts';
import type { NamespaceStore } from '../store/store.ts';
import type { EndNamespaces } from './end-namespaces.ts';

/** What {@link createEndAgain} works with. */
export interface EndAgainParts {
  readonly store: Pick<NamespaceStore, 'get' | 'replace'>;
  readonly end: EndNamespaces;
}

/**
 * Makes the function that deletes what is there of namespaces that are gone.
 *
 * A tombstone whose name may be used again must not be deleted from: its owner may claim it at any moment, and no
 * later read of the record can take back a delete that is under way. So the tombstone is made an ending namespace first,
 * which refuses claims until nothing is left and 2F after that.
 */
export function createEndAgain({ store, end }: EndAgainParts): EndNamespaces {
  return async (namespaces, signal) => {
    const opened: string[] = [];
    for (const namespace of namespaces) {
      signal.throwIfAborted();
      const record = await store.get(namespace);
      if (record?.state !== 'gone') continue;
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
    goneMs: null,
    recheckMs: null,
  };
}
