import type { AgentContext } from '../context.ts';
import type { Backoff } from '../namespaces/backoff.ts';
import type { HealthCheck } from '../observe/health.ts';
import type { NamespaceRecord } from '../store/namespace-record.ts';
import { createPolling } from '../util/polling.ts';

/** Watches which deletions of namespaces wait for a node of RabbitMQ, whichever agent found that, and resumes them. */
export interface DeletionsWatch {
  /** `down` while one waits. */
  check(): HealthCheck;
  start(): void;
  close(): Promise<void>;
}

/** The pause between two readings, in ms: one query, and a call to RabbitMQ where a deletion waits. */
const PAUSE_MS = 5_000;
/** What was read longer ago, in ms, is unknown. */
const KEPT_MS = 60_000;
/** The most namespaces that are read of those that are being deleted. */
const MAX_READ = 1_000;

interface DeletionsWatchParts extends Pick<AgentContext, 'clock' | 'sleep'> {
  readonly store: { readonly namespaces: Pick<AgentContext['store']['namespaces'], 'dueForExpiry'> };
  readonly management: Pick<AgentContext['management'], 'listNodes'>;
  readonly backoff: Pick<Backoff, 'retryNow'>;
}

/** Creates the watch of one agent. Without it a deletion would wait five more minutes after the return of its node. */
export function createDeletionsWatch(parts: DeletionsWatchParts): DeletionsWatch {
  const { store, management, backoff, clock, sleep } = parts;
  let latest: { readonly startedMs: number; readonly blocked: readonly NamespaceRecord[] } | undefined;

  /** The node of a queue may also have left the cluster, with the queue. */
  const resume = async (blocked: readonly NamespaceRecord[], signal: AbortSignal): Promise<void> => {
    const nodes = await management.listNodes({ signal });
    const down = new Set(nodes.filter(({ running }) => !running).map(({ name }) => name));
    for (const record of blocked) {
      const node = blockingNode(record);
      if (node !== undefined && !down.has(node)) backoff.retryNow('deletion', record.namespace);
    }
  };

  const polling = createPolling(
    async (signal) => {
      const startedMs = clock.monotonicMs();
      const expiring = await store.namespaces.dueForExpiry({
        states: ['expiring'],
        beforeMs: clock.nowMs(),
        limit: MAX_READ,
      });
      const blocked = expiring.filter((record) => blockingNode(record) !== undefined);
      latest = { startedMs, blocked };
      if (blocked.length > 0) await resume(blocked, signal);
    },
    () => PAUSE_MS,
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

/** The node that is down, for which a deletion waits. One that waits for the end of an exemption is as it should be. */
function blockingNode({ deletionBlock }: NamespaceRecord): string | undefined {
  return deletionBlock !== undefined && 'node' in deletionBlock ? deletionBlock.node : undefined;
}

/** Without the names of namespaces and queues: no credentials are needed to read the health. */
function whyBlocked(blocked: readonly NamespaceRecord[]): string {
  const counts = new Map<string, number>();
  for (const record of blocked) {
    const node = blockingNode(record);
    if (node !== undefined) counts.set(node, (counts.get(node) ?? 0) + 1);
  }
  return [...counts]
    .map(
      ([node, count]) =>
        `${count === 1 ? 'a deletion waits' : `${count} deletions wait`} for node ${node}, which is down`,
    )
    .join('; ');
}
