import type { Log } from '../util/log.ts';
import { prunableAgents } from '../store/agent-records.ts';
import type { ClockBounds } from '../namespaces/clock-bounds.ts';
import type { NamespaceRecord } from '../store/namespace-record.ts';
import { namespacePages } from '../store/paged-listing.ts';
import type { Store } from '../store/store.ts';

const DAY_MS = 24 * 60 * 60_000;
/** An owner may ask what became of a notice for 30 days after its settlement. */
const NOTICE_KEPT_MS = 30 * DAY_MS;

/** Whether a tombstone can be removed: a day after the deletion, and after the end of a revocation. */
export function isPrunable({ state, deletedAtMs, revokedUntilMs }: NamespaceRecord, nowMs: number): boolean {
  return state === 'deleted' && deletedAtMs !== null && Math.max(deletedAtMs, revokedUntilMs ?? 0) + DAY_MS <= nowMs;
}

/** Creates the job that removes expired nonces, tombstones, settled notices, audit records, and records of agents that are gone. */
export function createPrune({
  store,
  bounds,
  log,
  auditRetentionDays,
}: {
  readonly store: Pick<Store, 'namespaces' | 'nonces' | 'notices' | 'audit' | 'agents'>;
  /** A nonce that is removed while another agent still accepts its signature would allow a replay. */
  readonly bounds: Pick<ClockBounds, 'earliestMs'>;
  readonly log: Log;
  /** How long audit records are kept, in days. */
  readonly auditRetentionDays: number;
}): (signal: AbortSignal) => Promise<void> {
  return async (signal) => {
    const nonces = await store.nonces.prune(bounds.earliestMs());
    const tombstones = await pruneTombstones(store.namespaces, bounds, signal);
    const notices = await store.notices.prune(bounds.earliestMs() - NOTICE_KEPT_MS);
    const audit = await store.audit.prune(bounds.earliestMs() - auditRetentionDays * DAY_MS);
    const agents = await pruneAgents(store.agents, bounds);
    const pruned = { nonces, tombstones, notices, audit, agents };
    if (Object.values(pruned).some((count) => count > 0)) {
      log.debug({ code: 'records_pruned', ...pruned }, 'pruned expired records');
    }
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
      if (!isPrunable(record, bounds.earliestMs())) continue;
      if (await store.remove(record.namespace, record.revision)) pruned += 1;
    }
  }
  return pruned;
}

async function pruneAgents(agents: Store['agents'], bounds: Pick<ClockBounds, 'earliestMs'>): Promise<number> {
  let pruned = 0;
  for (const { instance, revision } of prunableAgents(await agents.list(), bounds.earliestMs())) {
    if (await agents.remove(instance, revision)) pruned += 1;
  }
  return pruned;
}
