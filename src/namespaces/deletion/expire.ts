import type { NamespaceRecord } from '../../store/namespace-record.ts';
import { findDueNamespaces, forEachWithBackoff } from '../due-namespaces.ts';
import type { NamespaceContext } from '../namespace-context.ts';
import { decideDeletion, type DeletionContext, type DeletionDecision } from './decide-deletion.ts';
import type { DeleteNamespaces } from './delete-namespaces.ts';

/**
 * Announces expiry, and deletes namespaces that expired or were released. A namespace does not expire while an operator
 * exempts one of its queues from deletion.
 */
export interface Expiry {
  /** Deletes everything that is due. Rejects when the store or the broker does not work. */
  sweep(signal: AbortSignal): Promise<void>;
  /** Announces every expiry that is near. Rejects when the store does not work. */
  announce(signal: AbortSignal): Promise<void>;
}

/**
 * This many namespaces share the listings of queues and exchanges, which take longer than a hundred deletes, and the
 * pause for late connections.
 */
const BATCH_SIZE = 1000;

/** Creates the expiry of an installation. */
export function createExpiry(
  context: Pick<
    NamespaceContext,
    'config' | 'store' | 'cluster' | 'bounds' | 'intervals' | 'exempt' | 'backoff' | 'reporters'
  >,
  deleteNamespaces: DeleteNamespaces,
): Expiry {
  const { config, store, cluster, bounds, intervals, exempt, backoff, reporters } = context;
  const announceBeforeMs = config.expiryAnnouncementSeconds * 1000;
  const concurrency = config.managementConcurrency;
  const contextNow = (): DeletionContext => ({ nowMs: bounds.earliestMs(), intervals, announceBeforeMs });

  const findDue = (
    states: readonly NamespaceRecord['state'][],
    beforeMs: number,
    action: DeletionDecision['action'],
    isHeld: (record: NamespaceRecord) => boolean = () => false,
  ): Promise<NamespaceRecord[]> => {
    const now = contextNow();
    return findDueNamespaces(
      (limit) => store.dueForExpiry({ states, beforeMs, limit }),
      (record) =>
        decideDeletion(record, now).action === action && backoff.ready('deletion', record.namespace) && !isHeld(record),
    );
  };

  /** Writes that an expiry is announced or that a deletion begins. */
  const writeStep = async (record: NamespaceRecord): Promise<boolean> => {
    const decision = decideDeletion(record, contextNow());
    if (decision.action === 'delete' || decision.action === 'wait') return false;
    if (!(await store.replace(decision.record, record.revision))) return false;
    if (decision.action === 'announce' || !decision.isAnnounced) reporters.namespaceExpiring(decision.record);
    return true;
  };
  const writeSteps = async (records: readonly NamespaceRecord[], signal: AbortSignal): Promise<number> =>
    await forEachWithBackoff(records, { work: 'deletion', backoff, concurrency, signal }, writeStep);

  return {
    async sweep(signal) {
      const tried = new Set<string>();
      for (;;) {
        signal.throwIfAborted();
        const nowMs = bounds.earliestMs();
        const exemptions = await exempt.read();
        const exemptNamespaces = new Set([...exemptions.values()].map(({ namespace }) => namespace));
        // Its client may claim it again: a deletion would lock the client out until the exemption ends.
        const isKept = ({ namespace }: NamespaceRecord): boolean => exemptNamespaces.has(namespace);
        await writeSteps(await findDue(['provisioning', 'active'], nowMs, 'begin', isKept), signal);
        const waits = ({ namespace, deletionBlock }: NamespaceRecord): boolean =>
          tried.has(namespace) || (deletionBlock !== undefined && exemptions.has(deletionBlock.queue));
        const expiring = await findDue(['expiring'], nowMs, 'delete', waits);
        for (const { namespace } of expiring) tried.add(namespace);
        if (expiring.length === 0 || !(await cluster.isOpen(signal))) return;
        for (let from = 0; from < expiring.length; from += BATCH_SIZE) {
          const batch = expiring.slice(from, from + BATCH_SIZE);
          await deleteNamespaces(
            batch.map(({ namespace }) => namespace),
            signal,
          );
        }
      }
    },
    async announce(signal) {
      for (;;) {
        signal.throwIfAborted();
        const soon = await findDue(['provisioning', 'active'], bounds.earliestMs() + announceBeforeMs, 'announce');
        if ((await writeSteps(soon, signal)) === 0) return;
      }
    },
  };
}
