import { AgentError } from '../util/agent-errors.ts';
import { type Clock, elapsedSinceMs, type Moment, momentOf, type Sleep } from '../util/clock.ts';
import { untilAborted } from '../util/deadline.ts';
import { createPolling } from '../util/polling.ts';
import {
  type ClusterMemory,
  type ClusterStatus,
  clusterStatus,
  isSteadySince,
  rememberFailure,
  rememberListing,
  rememberReconciliation,
} from './cluster-state.ts';
import type { ClusterNode, Management } from './management/management.ts';

/** Whether RabbitMQ is one cluster, so that what the agent changes is changed for every client. */
export interface ClusterGate {
  readonly status: ClusterStatus;
  /**
   * Resolves when changes are safe now, by a listing of the nodes that is some seconds old at most.
   *
   * @returns the present moment, for {@link confirm}
   * @throws AgentError `BrokerSplit`; `BrokerUnavailable` when the nodes cannot be listed; the signal's reason
   */
  permit(signal?: AbortSignal): Promise<Moment>;
  /**
   * Asserts the same by what is known.
   *
   * @throws AgentError `BrokerSplit`; `BrokerUnavailable` when that is too old
   */
  assertPermitted(): void;
  /**
   * Whether what was changed from `since`, the moment of a {@link permit}, until this call was changed for every client: the
   * nodes are listed after it, unless there is but one. Without it, a change right after a cut could be recorded although it
   * is on the smaller side. False: a side may have come and gone since then, with the change, so do it again.
   *
   * @throws as {@link permit}
   */
  confirm(since: Moment, signal: AbortSignal): Promise<boolean>;
  /** As {@link permit}; false while changes are unsafe, or wait for the reconciliation after a split. */
  isOpen(signal: AbortSignal): Promise<boolean>;
}

/** Lists the nodes until it is closed. */
export interface ClusterWatch extends ClusterGate {
  /** All nodes of the latest listing, while that is known. */
  readonly nodes: readonly ClusterNode[] | undefined;
  /** A reconciliation that began at this moment has ended. */
  reconciled(beganAt: Moment): void;
  /** Calls `react` after each listing, successful or not. */
  onListed(react: (status: ClusterStatus) => void): void;
  start(): void;
  close(): Promise<void>;
}

/** What a {@link ClusterWatch} lists, and in which time. */
export interface ClusterWatchOptions {
  readonly management: Pick<Management, 'listNodes'>;
  readonly clock: Clock;
  readonly sleep: Sleep;
}

/** The pause between two listings, in ms. */
const PAUSE_MS = 2_000;

/** How old a listing may be that a change is based on, in ms. A change that waits for longer lists the nodes. */
const FRESH_MS = 2 * PAUSE_MS;

/** Creates the watch. Before the first listing the cluster is unknown. */
export function createClusterWatch({ management, clock, sleep }: ClusterWatchOptions): ClusterWatch {
  let memory: ClusterMemory | undefined;
  let current: Promise<void> | undefined;
  let next: Promise<void> | undefined;
  let react: ((status: ClusterStatus) => void) | undefined;

  const status = (): ClusterStatus => clusterStatus(memory, clock);
  const request = async (): Promise<void> => {
    try {
      const requestedAt = momentOf(clock);
      const nodes = await management.listNodes();
      memory = rememberListing(memory, nodes, requestedAt, momentOf(clock));
    } catch (error) {
      if (memory !== undefined) memory = rememberFailure(memory);
      throw error;
    } finally {
      react?.(status());
    }
  };
  const list = (): Promise<void> =>
    (current ??= request().finally(() => {
      current = undefined;
    }));
  /** A listing that is requested after this call: all callers of a moment share one. */
  const listAfterNow = (): Promise<void> => {
    if (current === undefined) return list();
    next ??= current
      .catch(() => undefined)
      .then(() => {
        next = undefined;
        return list();
      });
    return next;
  };
  const isFresh = (): boolean => memory !== undefined && elapsedSinceMs(clock, memory.viewedAt) <= FRESH_MS;
  const assertPermitted = (): void => {
    const now = status();
    if (now.is === 'split') throw brokerSplit(now.reason);
    if (now.is === 'unknown') {
      throw new AgentError(
        'BrokerUnavailable',
        `Whether RabbitMQ is one cluster is unknown: ${now.reason}. Check its management API.`,
      );
    }
  };
  const permit = async (signal?: AbortSignal): Promise<Moment> => {
    if (!isFresh()) await (signal === undefined ? list() : untilAborted(list(), signal));
    assertPermitted();
    return momentOf(clock);
  };
  const polling = createPolling(list, () => PAUSE_MS, sleep);

  return {
    get status() {
      return status();
    },
    get nodes() {
      return status().is === 'unknown' ? undefined : memory?.nodes;
    },
    permit,
    assertPermitted,
    async confirm(since, signal) {
      const isOneNode = (): boolean => memory?.nodes.length === 1 && isFresh();
      if (!isOneNode()) await untilAborted(listAfterNow(), signal);
      assertPermitted();
      return isOneNode() || (memory !== undefined && isSteadySince(memory, since));
    },
    async isOpen(signal) {
      try {
        await permit(signal);
      } catch (error) {
        if (error instanceof AgentError) return false;
        throw error;
      }
      return status().is !== 'restoring';
    },
    reconciled(beganAt) {
      if (memory !== undefined) memory = rememberReconciliation(memory, beganAt);
    },
    onListed(reaction) {
      react = reaction;
    },
    start: () => polling.start(),
    close: () => polling.close(),
  };
}

/** For work that changes nothing, such as a dry run. */
export const UNGUARDED: ClusterGate = {
  status: { is: 'whole' },
  permit: async () => await Promise.resolve({ wallMs: 0, monotonicMs: 0 }),
  assertPermitted: () => undefined,
  confirm: async () => await Promise.resolve(true),
  isOpen: async () => await Promise.resolve(true),
};

function brokerSplit(reason: string): AgentError {
  return new AgentError(
    'BrokerSplit',
    `The cluster of RabbitMQ is split, and the agent changes nothing in it: ${reason}. Heal it as docs/recover.md says.`,
  );
}
