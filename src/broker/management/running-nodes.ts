import type { Clock } from '../../util/clock.ts';
import { fitsPid, nodeNameHash } from '../amqp/direct-reply-to.ts';
import type { DirectReplyTo } from '../amqp/direct-reply-to.ts';
import type { RunningNode } from './management.ts';

/** What {@link createRunningNodes} needs. */
export interface RunningNodesOptions {
  /** The nodes that run now. */
  readonly listNodes: () => Promise<readonly RunningNode[]>;
  readonly clock: Clock;
  /** The least time between two listings. Everybody may send forged addresses: they must not become API calls. */
  readonly minRefreshMs?: number;
  /** After so long a listing is made anew, as a node may have left the cluster. */
  readonly maxAgeMs?: number;
}

/** Which nodes of the cluster run, and so which direct reply-to addresses can be published to. */
export interface RunningNodes {
  /**
   * Whether the address names a process that a running node could have. A listing that grew old still counts while it is
   * renewed, so replies go on while the management API is down.
   *
   * @throws AgentError `BrokerUnavailable` when the node is unknown and the nodes cannot be listed.
   */
  couldHost(address: DirectReplyTo): Promise<boolean>;
}

/** Makes the cache, empty: the first question lists the nodes. */
export function createRunningNodes(parts: RunningNodesOptions): RunningNodes {
  const minRefreshMs = parts.minRefreshMs ?? 1000;
  const maxAgeMs = parts.maxAgeMs ?? 60_000;
  let releases: ReadonlyMap<number, number> = new Map();
  let listedAtMs = -Infinity;
  let triedAtMs = -Infinity;
  let latest: Promise<void> = Promise.resolve();

  const list = async (): Promise<void> => {
    const nodes = await parts.listNodes();
    releases = new Map(nodes.map(({ name, otpRelease }) => [nodeNameHash(name), otpRelease]));
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
    async couldHost(address) {
      const old = parts.clock.monotonicMs() - listedAtMs > maxAgeMs;
      if (!releases.has(address.nodeHash)) await refresh();
      // Its failure is told to the first who asks for an unknown node.
      else if (old) refresh().catch(() => undefined);
      const otpRelease = releases.get(address.nodeHash);
      return otpRelease !== undefined && fitsPid(address, otpRelease);
    },
  };
}
