import type { Log } from '../util/log.ts';
import type { ClockBounds } from '../namespaces/clock-bounds.ts';
import type { NamespaceRecord } from '../store/namespace-record.ts';
import { namespacePages } from '../store/paged-listing.ts';
import type { Store } from '../store/store.ts';
import type { RecurringJob } from './jobs.ts';

const PRUNE_EVERY_MS = 60_000;
const DAY_MS = 24 * 60 * 60_000;
/** So long after a notice was settled an owner may ask what became of it. */
const NOTICE_KEPT_MS = 30 * DAY_MS;

/** Whether a tombstone has done its service: nothing of its incarnation, nor of a revocation, has to be known any more. */
export function isForgettable({ state, deletedAtMs, revokedUntilMs }: NamespaceRecord, nowMs: number): boolean {
  return state === 'deleted' && deletedAtMs !== null && Math.max(deletedAtMs, revokedUntilMs ?? 0) + DAY_MS <= nowMs;
}

/**
 * Removes the signatures that can no longer be accepted, tombstones a day after they were of use, and old notices and
 * records of the audit.
 */
export function pruneJob({
  store,
  bounds,
  log,
  auditRetentionDays,
}: {
  readonly store: Pick<Store, 'namespaces' | 'nonces' | 'notices' | 'audit'>;
  /** A signature that is forgotten while other agents accept it can be used again. */
  readonly bounds: Pick<ClockBounds, 'earliestMs'>;
  readonly log: Log;
  /** How long the audit is kept, in days. */
  readonly auditRetentionDays: number;
}): RecurringJob {
  return {
    name: 'prune',
    everyMs: PRUNE_EVERY_MS,
    async run(signal) {
      const nonces = await store.nonces.prune(bounds.earliestMs());
      const tombstones = await pruneTombstones(store.namespaces, bounds, signal);
      const notices = await store.notices.prune(bounds.earliestMs() - NOTICE_KEPT_MS);
      const audit = await store.audit.prune(bounds.earliestMs() - auditRetentionDays * DAY_MS);
      const pruned = { nonces, tombstones, notices, audit };
      if (Object.values(pruned).some((count) => count > 0)) {
        log.debug({ code: 'records_pruned', ...pruned }, 'pruned expired records');
      }
    },
  };
}

async function pruneTombstones(
  store: Store['namespaces'],
  bounds: Pick<ClockBounds, 'earliestMs'>,
  signal: AbortSignal,
): Promise<number> {
  let pruned = 0;
  for await (const page of namespacePages(store, signal, { states: ['deleted'] })) {
    for (const record of page) {
      if (!isForgettable(record, bounds.earliestMs())) continue;
      if (await store.remove(record.namespace, record.revision)) pruned += 1;
    }
  }
  return pruned;
}
