import { formatInstant } from '../../contract/fields.ts';
import { describeScope, namespaceScope, type ResultBody } from '../../contract/methods.ts';
import { describeBlock } from '../../namespaces/deletion/deletion-block.ts';
import type { ReadableNamespace } from '../../namespaces/read-namespaces.ts';
import type { ListedCounts, NamespaceCounts } from '../../queues/namespace-counts.ts';
import type { Signer } from '../authenticate.ts';
import { scopesSatisfy } from '../taskcluster-auth.ts';

/** A namespace as a client sees it. */
export type NamespaceView = ResultBody<'get-namespace'>;

/** What all scopes that give details begin with. */
const SCOPE_START = 'pulse:';

/**
 * The views of namespaces for a signer: the public fields, and the details of those that the signer may claim or describe.
 *
 * Names, ages and states are public. The holder and what a namespace does on the broker are not: without this rule the
 * claimant's password, which every client has, would show them.
 */
export async function viewsFor(
  signer: Pick<Signer, 'scopes'> | undefined,
  records: readonly ReadableNamespace[],
  readCounts: NamespaceCounts,
): Promise<NamespaceView[]> {
  const maySee = detailsRule(signer);
  const counts = records.some(({ namespace }) => maySee(namespace)) ? await readCounts() : undefined;
  return records.map((record) =>
    maySee(record.namespace) ? { ...publicView(record), details: detailsOf(record, counts) } : publicView(record),
  );
}

/** A client may have thousands of scopes, and a page a thousand namespaces. */
function detailsRule(signer: Pick<Signer, 'scopes'> | undefined): (namespace: string) => boolean {
  const scopes = (signer?.scopes ?? []).filter(
    (scope) => scope.startsWith(SCOPE_START) || (scope.endsWith('*') && SCOPE_START.startsWith(scope.slice(0, -1))),
  );
  if (scopes.length === 0) return () => false;
  return (namespace) =>
    scopesSatisfy(scopes, describeScope(namespace)) || scopesSatisfy(scopes, namespaceScope(namespace));
}

/** What everyone sees. */
export function publicView(record: ReadableNamespace): NamespaceView {
  return {
    namespace: record.namespace,
    created: formatInstant(record.createdMs),
    expires: formatInstant(record.expiresMs),
    state: record.state,
    ...(record.deletionBlock === undefined ? {} : { blockedBy: describeBlock(record.deletionBlock) }),
  };
}

function detailsOf(record: ReadableNamespace, listed: ListedCounts | undefined): NonNullable<NamespaceView['details']> {
  // Counts from before the first claim say nothing about the namespace.
  const counts = listed === undefined || listed.seenMs < record.createdMs ? undefined : listed;
  return { ...holdingOf(record), ...(counts === undefined ? {} : { counts: countsOf(record.namespace, counts) }) };
}

/** Who holds a namespace, for those who may see it. */
export function holdingOf({ claimedBy, claimedMs, nextRotationMs, state }: ReadableNamespace) {
  return {
    holder: claimedBy,
    ...(claimedMs === undefined ? {} : { lastClaim: formatInstant(claimedMs) }),
    ...(state === 'expiring' ? {} : { nextRotation: formatInstant(nextRotationMs) }),
  };
}

function countsOf(namespace: string, counts: ListedCounts) {
  const { queues, messages, uncountedQueues, connections } = counts.of(namespace);
  const uncounted = uncountedQueues === 0 ? {} : { uncountedQueues };
  return { at: formatInstant(counts.seenMs), queues, messages, ...uncounted, connections };
}
