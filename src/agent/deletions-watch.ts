import type { AgentContext } from '../context.ts';
import { describeBlock } from '../namespaces/deletion/deletion-block.ts';
import type { HealthCheck } from '../observe/health.ts';
import type { NamespaceRecord } from '../store/namespace-record.ts';
import { createPolling } from '../util/polling.ts';

/** Watches which deletions of namespaces wait for a node of RabbitMQ, whichever agent found that. */
export interface DeletionsWatch {
  /** `down` while one waits. */
  check(): HealthCheck;
  start(): void;
  close(): Promise<void>;
}

/** The pause between two readings, in ms. */
const PAUSE_MS = 15_000;
/** What was read longer ago, in ms, is unknown. */
const KEPT_MS = 60_000;
/** Of more namespaces that are being deleted at a time, only so many are read. */
const MAX_READ = 1_000;
/** The reason names at most this many namespaces. */
const MAX_NAMED = 3;

export function createDeletionsWatch({
  store,
  clock,
  sleep,
}: Pick<AgentContext, 'store' | 'clock' | 'sleep'>): DeletionsWatch {
  let latest: { readonly startedMs: number; readonly blocked: readonly NamespaceRecord[] } | undefined;

  const polling = createPolling(
    async () => {
      const startedMs = clock.monotonicMs();
      const expiring = await store.namespaces.dueForExpiry({
        states: ['expiring'],
        beforeMs: clock.nowMs(),
        limit: MAX_READ,
      });
      latest = { startedMs, blocked: expiring.filter(({ deletionBlock }) => deletionBlock !== undefined) };
    },
    PAUSE_MS,
    sleep,
  );

  return {
    start: () => polling.start(),
    close: () => polling.close(),
    check() {
      if (latest === undefined) return { state: 'starting', reason: 'the deletions are not read yet' };
      const ageMs = clock.monotonicMs() - latest.startedMs;
      if (ageMs > KEPT_MS) {
        return { state: 'down', reason: `unknown: the deletions were not read for ${Math.round(ageMs / 1000)} s` };
      }
      return latest.blocked.length === 0 ? { state: 'up' } : { state: 'down', reason: whyBlocked(latest.blocked) };
    },
  };
}

function whyBlocked(blocked: readonly NamespaceRecord[]): string {
  const named = blocked.slice(0, MAX_NAMED).flatMap(({ namespace, deletionBlock }) => {
    return deletionBlock === undefined ? [] : [`the deletion of ${namespace} waits: ${describeBlock(deletionBlock)}`];
  });
  const more = blocked.length - named.length;
  return [...named, ...(more > 0 ? [`${more} more wait`] : [])].join('; ');
}
