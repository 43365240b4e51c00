import type { ClusterStatus } from '../broker/cluster-state.ts';
import type { ClusterWatch } from '../broker/cluster.ts';
import type { AgentContext } from '../context.ts';
import { reconcileAndSurveySoon } from '../jobs/jobs.ts';
import type { Namespaces } from '../namespaces/namespaces.ts';
import type { HealthCheck } from '../observe/health.ts';
import { momentOf } from '../util/clock.ts';

/** A reconciliation after a split that keeps failing is left to the job after this many tries. */
const MAX_RECONCILIATIONS = 5;

/** The pause after a failed one, in ms. */
const RECONCILE_PAUSE_MS = 2_000;

/**
 * Makes an agent react to its watch of the cluster. It logs each change, reconciles first after a split, and soon after a node was missing:
 * what it wrote meanwhile may be lost.
 */
export function reactToCluster(
  { clock, sleep, log, jobs, lifecycle }: Pick<AgentContext, 'clock' | 'sleep' | 'log' | 'jobs' | 'lifecycle'>,
  parts: {
    readonly cluster: ClusterWatch;
    readonly reconcile: Namespaces['reconcile'];
    /** Called after each listing with whether the agent's node is on the smaller side of a split. */
    readonly setOnSmallerSide: (isIt: boolean) => void;
  },
): void {
  const { cluster, reconcile, setOnSmallerSide } = parts;
  let last: ClusterStatus | undefined;
  let isRestoring = false;

  const restore = async (signal: AbortSignal): Promise<void> => {
    for (let tries = 1; cluster.status.is === 'restoring'; tries += 1) {
      const beganAt = momentOf(clock);
      try {
        await reconcile(signal);
        log.info({ code: 'cluster_restored' }, 'reconciled after the split; rotations and deletions go on');
        return;
      } catch (error) {
        signal.throwIfAborted();
        log.error(
          { code: 'cluster_not_restored', err: error, tries },
          'could not reconcile after the split; rotations and deletions wait',
        );
        if (tries >= MAX_RECONCILIATIONS) cluster.reconciled(beganAt);
        else await sleep(RECONCILE_PAUSE_MS, signal);
      }
    }
  };

  cluster.onListed((status) => {
    if (status.is !== last?.is) logChange(log, status, last);
    if (last?.is === 'incomplete' && status.is === 'whole') reconcileAndSurveySoon(jobs);
    last = status;
    setOnSmallerSide(status.is === 'split' && status.isSmaller);
    if (status.is !== 'restoring' || isRestoring) return;
    isRestoring = true;
    lifecycle.runInBackground('reconciling after a split', async (signal) => {
      await restore(signal).finally(() => (isRestoring = false));
    });
  });
}

/** Degraded while not whole: claims of holders are answered, and another agent could do no more. */
export function checkCluster({ status, nodes }: Pick<ClusterWatch, 'status' | 'nodes'>): HealthCheck {
  if (status.is === 'whole') return { state: 'up' };
  const isFirst = status.is === 'unknown' && nodes === undefined;
  return { state: isFirst ? 'starting' : 'down', reason: `${status.is}: ${status.reason}` };
}

function logChange(log: AgentContext['log'], status: ClusterStatus, last: ClusterStatus | undefined): void {
  switch (status.is) {
    case 'split':
      log.error({ code: 'cluster_split', reason: status.reason }, 'RabbitMQ is split; nothing is changed in it');
      return;
    case 'incomplete':
      log.warn({ code: 'cluster_incomplete', reason: status.reason }, 'nodes of RabbitMQ are missing');
      return;
    case 'unknown':
      log.warn({ code: 'cluster_unknown', reason: status.reason }, 'whether RabbitMQ is one cluster is unknown');
      return;
    case 'restoring':
      log.info({ code: 'cluster_restoring' }, 'RabbitMQ is one cluster again; reconciling first');
      return;
    case 'whole':
      if (last !== undefined) log.info({ code: 'cluster_whole' }, 'all nodes of RabbitMQ run in one cluster');
  }
}
