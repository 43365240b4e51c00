import type { NamespaceRecord } from '../../store/namespace-record.ts';
import { decideDeletion, type DeletionContext } from './decide-deletion.ts';
import type { DeleteNamespaces } from './delete-namespaces.ts';
import { findDueNamespaces, forEachWithBackoff } from '../due-namespaces.ts';
import type { NamespaceContext } from '../namespace-context.ts';

/** Ends namespaces that nobody has claimed again in time. */
export interface Expiry {
  /** One look: deletes what is to be deleted. Rejects when the store or the broker does not work. */
  sweep(signal: AbortSignal): Promise<void>;
  /** One look: tells of what ends soon. */
  tell(signal: AbortSignal): Promise<void>;
}

/**
 * So many are deleted with the same listings of queues and exchanges, which take longer than a hundred deletes, and the same
 * pause for late connections.
 */
const AT_ONCE = 1000;

/** Creates the expiry of an installation. */
export function createExpiry(
  {
    config,
    store,
    bounds,
    intervals,
    backoff,
    reporters,
  }: Pick<NamespaceContext, 'config' | 'store' | 'bounds' | 'intervals' | 'backoff' | 'reporters'>,
  deleteNamespaces: DeleteNamespaces,
): Expiry {
  const noticeMs = config.expiryNoticeSeconds * 1000;
  const width = config.managementConcurrency;
  const contextNow = (): DeletionContext => ({ nowMs: bounds.earliestMs(), intervals, noticeMs });

  const act = async (record: NamespaceRecord): Promise<boolean> => {
    const decision = decideDeletion(record, contextNow());
    if (decision.action === 'delete' || decision.action === 'wait') return false;
    if (!(await store.replace(decision.record, record.revision))) return false;
    if (decision.action === 'tell' || !decision.isTold) reporters.namespaceExpiring(decision.record);
    return true;
  };
  const actAll = async (records: readonly NamespaceRecord[], signal: AbortSignal): Promise<number> =>
    await forEachWithBackoff(records, { work: 'deletion', backoff, width, signal }, act);
  const due = (
    states: readonly NamespaceRecord['state'][],
    beforeMs: number,
    action: ReturnType<typeof decideDeletion>['action'],
  ): Promise<NamespaceRecord[]> => {
    const context = contextNow();
    return findDueNamespaces(
      (limit) => store.dueForExpiry({ states, beforeMs, limit }),
      (record) => decideDeletion(record, context).action === action && backoff.ready('deletion', record.namespace),
    );
  };

  return {
    async sweep(signal) {
      for (;;) {
        signal.throwIfAborted();
        const nowMs = bounds.earliestMs();
        await actAll(await due(['provisioning', 'active'], nowMs, 'begin'), signal);
        const doomed = await due(['expiring'], nowMs, 'delete');
        if (doomed.length === 0) return;
        for (let from = 0; from < doomed.length; from += AT_ONCE) {
          await deleteNamespaces(
            doomed.slice(from, from + AT_ONCE).map(({ namespace }) => namespace),
            signal,
          );
        }
      }
    },
    async tell(signal) {
      for (;;) {
        signal.throwIfAborted();
        const soon = await due(['provisioning', 'active'], bounds.earliestMs() + noticeMs, 'tell');
        if ((await actAll(soon, signal)) === 0) return;
      }
    },
  };
}
