import type { Clock } from '../clock.ts';
import { nodeNameHash } from './direct-reply-to.ts';

/** What {@link createRunningNodes} needs. */
export interface RunningNodesParts {
  /** The names of the nodes that run now. */
  readonly listNodes: () => Promise<readonly string[]>;
  readonly clock: Clock;
  /** The least time between two listings. Everybody may send forged addresses: they must not become API calls. */
  readonly minRefreshMs?: number;
  /** After so long a listing is made anew, as a node may have left the cluster. */
  readonly maxAgeMs?: number;
}

/** Which nodes of the cluster run, by the hash that stands in direct reply-to addresses. */
export interface RunningNodes {
  /**
   * Whether a running node's name has this hash. A listing that grew old still counts while it is renewed, so replies
   * go on while the management API is down.
   *
   * @throws AgentError `BrokerUnavailable` when the hash is unknown and the nodes cannot be listed.
   */
  knows(nodeHash: number): Promise<boolean>;
}

/** Makes the cache, empty: the first question lists the nodes. */
export function createRunningNodes(parts: RunningNodesParts): RunningNodes {
  const minRefreshMs = parts.minRefreshMs ?? 1000;
  const maxAgeMs = parts.maxAgeMs ?? 60_000;
  let hashes: ReadonlySet<number> = new Set();
  let listedAtMs = -Infinity;
  let triedAtMs = -Infinity;
  let latest: Promise<void> = Promise.resolve();

  const list = async (): Promise<void> => {
    const names = await parts.listNodes();
    hashes = new Set(names.map(nodeNameHash));
    listedAtMs = parts.clock.monotonicMs();
  };
  /** Lists the nodes, or shares the try that was made just now, its failure included. */
  const refresh = (): Promise<void> => {
    const now = parts.clock.monotonicMs();
    if (now - triedAtMs < minRefreshMs) return latest;
    triedAtMs = now;
    latest = list();
    return latest;
  };

  return {
    async knows(nodeHash) {
      const old = parts.clock.monotonicMs() - listedAtMs > maxAgeMs;
      if (hashes.has(nodeHash)) {
        // Its failure is told to the first who asks for an unknown hash.
        if (old) refresh().catch(() => undefined);
        return true;
      }
      await refresh();
      return hashes.has(nodeHash);
    },
  };
}
