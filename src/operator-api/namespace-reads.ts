import { formatInstant } from '../contract/fields.ts';
import type { ListedCounts, NamespaceCounts } from '../queues/namespace-counts.ts';
import { compareKeys, type SortKey, type SortOrder, sortedBy } from '../util/sorted-by.ts';
import type { EndpointReads } from './endpoint.ts';
import { createKeptLists, isFound, pageOf } from './list-page.ts';
import type { NamespaceRow, NamespacesQuery } from './namespace-schemas.ts';
import type { NamespaceEntry, NamespaceTable } from './namespace-table.ts';
import type { Snapshot } from './snapshot.ts';

/** A namespace with what it has on the broker; undefined: unknown. */
export interface CountedNamespace extends NamespaceEntry {
  readonly counts: ReturnType<ListedCounts['of']> | undefined;
}

const KEYS: Readonly<
  Record<NamespacesQuery['sort'], { readonly of: (one: CountedNamespace) => SortKey; readonly order: SortOrder }>
> = {
  namespace: { of: ({ namespace }) => namespace, order: 'asc' },
  state: { of: ({ state }) => state, order: 'asc' },
  holder: { of: ({ holder }) => holder, order: 'asc' },
  created: { of: ({ createdMs }) => createdMs, order: 'asc' },
  expires: { of: ({ expiresMs }) => expiresMs, order: 'asc' },
  reclaimBy: { of: ({ reclaimByMs }) => reclaimByMs, order: 'asc' },
  nextRotation: { of: ({ nextRotationMs }) => nextRotationMs, order: 'asc' },
  queues: { of: ({ counts }) => counts?.queues, order: 'desc' },
  messages: { of: ({ counts }) => counts?.messages, order: 'desc' },
  connections: { of: ({ counts }) => counts?.connections, order: 'desc' },
};

interface CountedTable {
  readonly counts: ListedCounts | undefined;
  readonly rows: readonly CountedNamespace[];
}

/** Reads pages of namespaces. */
export function createReadNamespaces(
  table: Snapshot<NamespaceTable>,
  readCounts: NamespaceCounts,
): EndpointReads['namespaces'] {
  const kept = createKeptLists<CountedNamespace>();
  const countedTables = new WeakMap<NamespaceTable, CountedTable>();
  return async ({ offset, limit, ...query }) => {
    const [known, counts] = await Promise.all([table.get(), readCounts()]);
    let counted = countedTables.get(known);
    if (counted === undefined || counted.counts !== counts) {
      counted = {
        counts,
        rows: [...known.byName.values()].map((entry) => ({ ...entry, counts: countsOf(entry, counts) })),
      };
      countedTables.set(known, counted);
    }
    const { rows } = counted;
    const found = kept(counted, JSON.stringify(query), () => findNamespaces(rows, query));
    return {
      at: formatInstant(known.atMs),
      ...(counts === undefined ? {} : { countsAt: formatInstant(counts.seenMs) }),
      total: found.length,
      items: pageOf(found, { offset, limit }).map(namespaceRowOf),
    };
  };
}

/** Counts from before the first claim say nothing about the namespace. */
export function countsOf(
  { namespace, createdMs }: NamespaceEntry,
  counts: ListedCounts | undefined,
): CountedNamespace['counts'] {
  return counts === undefined || counts.seenMs < createdMs ? undefined : counts.of(namespace);
}

/** Those that match, in the order that is wanted. */
function findNamespaces(
  rows: readonly CountedNamespace[],
  { sort, order, search, state }: Omit<NamespacesQuery, 'offset' | 'limit'>,
): CountedNamespace[] {
  const isWanted = (one: CountedNamespace): boolean =>
    (state === undefined || one.state === state) && isFound(search, one.namespace, one.holder);
  const key = KEYS[sort];
  const byName = (a: CountedNamespace, b: CountedNamespace): number => compareKeys(a.namespace, b.namespace, 'asc');
  return sortedBy(rows.filter(isWanted), key.of, order ?? key.order, byName);
}

/** What every place says of a namespace. */
export function namespaceRowOf(one: CountedNamespace): NamespaceRow {
  const { namespace, state, holder, createdMs, expiresMs, claimedMs, reclaimByMs, nextRotationMs, blockedBy } = one;
  return {
    namespace,
    state,
    holder,
    created: formatInstant(createdMs),
    expires: formatInstant(expiresMs),
    ...(claimedMs === undefined ? {} : { lastClaim: formatInstant(claimedMs) }),
    ...(reclaimByMs === undefined ? {} : { reclaimBy: formatInstant(reclaimByMs) }),
    ...(nextRotationMs === undefined ? {} : { nextRotation: formatInstant(nextRotationMs) }),
    ...(blockedBy === undefined ? {} : { blockedBy }),
    ...(one.counts === undefined ? {} : countFields(one.counts)),
  };
}

function countFields({ queues, messages, uncountedQueues, connections }: NonNullable<CountedNamespace['counts']>) {
  return { queues, messages, ...(uncountedQueues === 0 ? {} : { uncountedQueues }), connections };
}
