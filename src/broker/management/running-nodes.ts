import type { Clock } from '../../util/clock.ts';
import { fitsPid, nodeNameHash } from '../amqp/direct-reply-to.ts';
import type { DirectReplyTo } from '../amqp/direct-reply-to.ts';
import type { RunningNode } from './management.ts';

interface RunningNodesOptions {
  /** Lists the running nodes. */
  readonly listNodes: () => Promise<readonly RunningNode[]>;
  readonly clock: Clock;
  /** The shortest pause between two listings, in ms: forged addresses must not become API calls. A second when absent. */
  readonly minRefreshMs?: number;
  /** The age at which a listing is refreshed, in ms, as a node may have left the cluster. A minute when absent. */
  readonly maxAgeMs?: number;
}

/** The running nodes of the cluster, and so the direct reply-to addresses that can be published to. */
interface RunningNodes {
  /**
   * Whether a running node could host the process of the address. An old listing is used while it is refreshed, so that
   * replies are sent while the management API is down.
   *
   * @throws AgentError `BrokerUnavailable` when the node is unknown and the nodes cannot be listed
   */
  couldHost(address: DirectReplyTo): Promise<boolean>;
}

/** Creates an empty cache; the first call lists the nodes. */
export function createRunningNodes(options: RunningNodesOptions): RunningNodes {
  const minRefreshMs = options.minRefreshMs ?? 1000;
  const maxAgeMs = options.maxAgeMs ?? 60_000;
  let releases: ReadonlyMap<number, number> = new Map();
  let listedAtMs = -Infinity;
  let requestedAtMs = -Infinity;
  let latest: Promise<void> = Promise.resolve();

  const list = async (): Promise<void> => {
    const startedMs = options.clock.monotonicMs();
    const nodes = await options.listNodes();
    // Of two concurrent listings the older one may arrive later.
    if (startedMs < listedAtMs) return;
    releases = new Map(nodes.map(({ name, otpRelease }) => [nodeNameHash(name), otpRelease]));
    listedAtMs = startedMs;
  };
  /** Lists the nodes, or returns the outcome of the listing within the last `minRefreshMs`, its failure included. */
  const refresh = (): Promise<void> => {
    const now = options.clock.monotonicMs();
    if (now - requestedAtMs < minRefreshMs) return latest;
    requestedAtMs = now;
    latest = list();
    return latest;
  };

  return {
    async couldHost(address) {
      const isOld = options.clock.monotonicMs() - listedAtMs > maxAgeMs;
      if (!releases.has(address.nodeHash)) await refresh();
      // The next call with an unknown node rejects with its failure.
      else if (isOld) refresh().catch(() => undefined);
      const otpRelease = releases.get(address.nodeHash);
      return otpRelease !== undefined && fitsPid(address, otpRelease);
    },
  };
}
