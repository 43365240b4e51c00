import type { NamespaceRecord } from '../../store/namespace-record.ts';
import type { NamespaceStore } from '../../store/store.ts';
import type { Backoff } from '../backoff.ts';
import type { ClockBounds } from '../clock-bounds.ts';
import { decideDeletion, type DeletionContext } from './decide-deletion.ts';
import type { DeleteNamespaces } from './delete-namespaces.ts';
import { findDueNamespaces, forEachWithBackoff } from '../due-namespaces.ts';
import type { Intervals } from '../timing.ts';

/** What {@link createExpiry} works with. */
export interface ExpiryParts {
  readonly store: Pick<NamespaceStore, 'replace' | 'dueForExpiry'>;
  readonly endNamespaces: DeleteNamespaces;
  readonly bounds: Pick<ClockBounds, 'earliestMs'>;
  readonly intervals: Intervals;
  /** How long before its end a namespace's owner is told of it, in ms. */
  readonly noticeMs: number;
  readonly backoff: Backoff;
  readonly width: number;
  /** Told once before each end of a namespace. */
  readonly onExpiring: (record: NamespaceRecord) => void;
}

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

/** Makes the expiry of an installation. */
export function createExpiry(parts: ExpiryParts): Expiry {
  const { store, bounds, intervals, noticeMs, backoff, width } = parts;
  const contextNow = (): DeletionContext => ({ nowMs: bounds.earliestMs(), intervals, noticeMs });

  const act = async (record: NamespaceRecord): Promise<boolean> => {
    const decision = decideDeletion(record, contextNow());
    if (decision.action === 'delete' || decision.action === 'wait') return false;
    if (!(await store.replace(decision.record, record.revision))) return false;
    if (decision.action === 'tell' || !decision.isTold) parts.onExpiring(decision.record);
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
          await parts.endNamespaces(
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
