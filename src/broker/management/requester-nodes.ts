import type { Clock, Sleep } from '../../util/clock.ts';
import { waitAtMost } from '../../util/deadline.ts';
import { fitsPid, nodeNameHash } from '../amqp/direct-reply-to.ts';
import type { DirectReplyTo } from '../amqp/direct-reply-to.ts';
import type { ClusterNode } from './management.ts';

type Member = Pick<ClusterNode, 'name' | 'running'>;

interface RequesterNodesOptions {
  /** Lists the members of the cluster. */
  readonly listNodes: () => Promise<readonly Member[]>;
  /** The major version of Erlang/OTP of one of them; they only differ during an upgrade. */
  readonly otpRelease: () => Promise<number>;
  readonly clock: Pick<Clock, 'monotonicMs'>;
  readonly sleep: Sleep;
  /** Ends every wait. */
  readonly signal: AbortSignal;
  /** The shortest pause between two listings for unknown nodes, in ms: forged addresses must not become API calls. A second when absent. */
  readonly minRefreshMs?: number;
  /** The shortest pause between two listings that observe whether a member runs now, in ms; 200 when absent. */
  readonly repeatMs?: number;
  /** The age at which a listing is refreshed, in ms, as a node may have left the cluster. A minute when absent. */
  readonly maxAgeMs?: number;
}

/** The node of a requester's connection. If it is down at `sinceMs` or later, the requester is gone for good. */
export interface RequesterNode {
  /** The hash of its name, as in a direct reply-to address. */
  readonly hash: number;
  /** When the request had arrived, by the monotonic clock. */
  readonly sinceMs: number;
}

/**
 * Where the process of a direct reply-to address is:
 * - `running`: a running node could host it;
 * - `down`: its node is a member of the cluster that is down, so the requester has lost its connection;
 * - `unknown`: no member of the cluster can have written the address.
 */
export type ReplyLocation =
  | { readonly kind: 'running' | 'down'; readonly node: RequesterNode }
  | { readonly kind: 'unknown' };

/** The nodes of the cluster, and so the direct reply-to addresses that can be published to. */
export interface RequesterNodes {
  /**
   * Locates an address. An old listing is used while it is refreshed, so that replies are sent while the management API is
   * down. Only a listing that began after the call shows that a node is down: it may have been started since an earlier one.
   *
   * @throws AgentError `BrokerUnavailable` when the node does not run, as far as is known, and the nodes cannot be listed
   */
  locate(address: DirectReplyTo): Promise<ReplyLocation>;
  /**
   * Whether a node runs by the latest listing that began at `sinceMs` or later. Undefined if there is none, or if at most half
   * of the nodes run by it: a node that is cut off from the others sees them as down.
   */
  runs(node: RequesterNode): boolean | undefined;
  /**
   * Lists the nodes after the call; all callers share the listing. Returns whether it shows which nodes are down.
   *
   * @throws AgentError `BrokerUnavailable` when the nodes cannot be listed
   */
  listAgain(): Promise<boolean>;
  /** Calls `listener` after each listing. */
  onListed(listener: () => void): void;
}

/** A listing that does not answer is not waited for before another one begins, after this time, in ms. */
const PATIENCE_MS = 1000;

interface Listing {
  readonly startedMs: number;
  readonly ended: Promise<void>;
}

/** Creates an empty cache; the first call lists the nodes. */
export function createRequesterNodes(options: RequesterNodesOptions): RequesterNodes {
  const { listNodes, clock, sleep, signal } = options;
  const { minRefreshMs = 1000, repeatMs = 200, maxAgeMs = 60_000 } = options;
  let running: ReadonlyMap<number, boolean> = new Map();
  let otpRelease: { readonly value: number; readonly readAtMs: number } | undefined;
  let listedAtMs = -Infinity;
  let isOfMajority = false;
  const listeners: (() => void)[] = [];
  let latest: Listing | undefined;
  let next: Promise<void> | undefined;

  const readOtpRelease = async (): Promise<void> => {
    const readAtMs = clock.monotonicMs();
    if (otpRelease !== undefined && readAtMs - otpRelease.readAtMs < maxAgeMs) return;
    otpRelease = { value: await options.otpRelease(), readAtMs };
  };
  const list = async (startedMs: number): Promise<void> => {
    const read = readOtpRelease();
    // Only the first listing waits for it: it takes longer, and may take seconds when a node has just died.
    read.catch(() => undefined);
    const members = await listNodes();
    if (otpRelease === undefined) await read;
    // Of two concurrent listings the older one may arrive later.
    if (startedMs < listedAtMs) return;
    running = new Map(members.map((member) => [nodeNameHash(member.name), member.running]));
    listedAtMs = startedMs;
    isOfMajority = members.filter((member) => member.running).length * 2 > members.length;
    for (const listener of listeners) listener();
  };
  const begin = (): Promise<void> => {
    const startedMs = clock.monotonicMs();
    const ended = list(startedMs);
    ended.catch(() => undefined);
    latest = { startedMs, ended };
    return ended;
  };
  /** Lists the nodes, or returns the outcome of the listing within the last `minRefreshMs`, its failure included. */
  const refresh = (): Promise<void> => {
    if (latest !== undefined && clock.monotonicMs() - latest.startedMs < minRefreshMs) return latest.ended;
    return begin();
  };
  /** Until another listing may begin. */
  const pause = async (): Promise<void> => {
    if (latest === undefined) return;
    const { startedMs, ended } = latest;
    const left = (ms: number): number => Math.max(0, startedMs + ms - clock.monotonicMs());
    await waitAtMost(left(PATIENCE_MS), ended);
    if (left(repeatMs) > 0) await sleep(left(repeatMs), signal);
  };
  const listSince = (sinceMs: number): Promise<void> => {
    if (latest !== undefined && latest.startedMs >= sinceMs) return latest.ended;
    next ??= pause()
      .finally(() => (next = undefined))
      .then(begin);
    return next;
  };

  return {
    async locate(address) {
      const askedMs = clock.monotonicMs();
      if (!running.has(address.nodeHash)) await refresh();
      // The next call with an unknown node rejects with its failure.
      else if (askedMs - listedAtMs > maxAgeMs) refresh().catch(() => undefined);
      if (running.get(address.nodeHash) === false && listedAtMs < askedMs) await listSince(askedMs);
      const isRunning = running.get(address.nodeHash);
      if (isRunning === undefined || otpRelease === undefined) return { kind: 'unknown' };
      const node = { hash: address.nodeHash, sinceMs: askedMs };
      if (!isRunning) return isOfMajority ? { kind: 'down', node } : { kind: 'unknown' };
      return fitsPid(address, otpRelease.value) ? { kind: 'running', node } : { kind: 'unknown' };
    },
    runs({ hash, sinceMs }) {
      if (listedAtMs < sinceMs) return undefined;
      return running.get(hash) === true ? true : isOfMajority ? false : undefined;
    },
    async listAgain() {
      await listSince(clock.monotonicMs());
      return isOfMajority;
    },
    onListed: (listener) => void listeners.push(listener),
  };
}
