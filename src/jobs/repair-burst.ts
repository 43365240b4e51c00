import { setTimeout as sleepFor } from 'node:timers/promises';
import type { Clock } from '../util/clock.ts';
import type { Log } from '../util/log.ts';

/** The namespaces whose repair was requested in the current window. */
interface RepairWindow {
  /** Of the monotonic clock. */
  readonly sinceMs: number;
  readonly namespaces: ReadonlySet<string>;
}

/** The length of a window, and the pause before each reconciliation, in ms. */
export const REPAIR_WINDOW_MS = 5_000;

/** A repair is a job in the store. Beyond this number in a window one reconciliation costs less. */
export const MAX_REPAIRS_IN_WINDOW = 100;

/**
 * Decides what to do about a namespace whose accounts another user changed.
 *
 * @returns `open-window`: repair it in a new window; `repair` it; `reconcile` all, as a script changes them
 */
export function decideBurst(
  { sinceMs, namespaces }: RepairWindow,
  namespace: string,
  nowMs: number,
): 'open-window' | 'repair' | 'reconcile' {
  if (nowMs >= sinceMs + REPAIR_WINDOW_MS) return 'open-window';
  return namespaces.has(namespace) || namespaces.size < MAX_REPAIRS_IN_WINDOW ? 'repair' : 'reconcile';
}

interface RepairBurstParts {
  readonly clock: Pick<Clock, 'monotonicMs'>;
  readonly log: Log;
  /** Requests the repair of one namespace. */
  readonly repair: (namespace: string) => void;
  readonly reconcile: (signal: AbortSignal) => Promise<unknown>;
  readonly runInBackground: (task: (signal: AbortSignal) => Promise<void>) => void;
  /** Node's own when absent. */
  readonly sleep?: (ms: number, signal: AbortSignal) => Promise<unknown>;
}

/**
 * Creates the function that requests a repair for each namespace, or one reconciliation where there are too many. The
 * reconciliation starts {@link REPAIR_WINDOW_MS} after the first request that it covers, so that it covers the rest of the
 * burst, and one runs at a time.
 */
export function createRepairBurst(parts: RepairBurstParts): (namespace: string) => void {
  const { clock, log, repair, reconcile, runInBackground } = parts;
  const { sleep = (ms, signal) => sleepFor(ms, undefined, { signal }) } = parts;
  let sinceMs = -Infinity;
  const namespaces = new Set<string>();
  let isReconciling = false;
  /** Whether a request waits for a reconciliation that has not started. */
  let isRequested = false;

  const reconcileWhileRequested = async (signal: AbortSignal): Promise<void> => {
    try {
      while (isRequested) {
        await sleep(REPAIR_WINDOW_MS, signal);
        isRequested = false;
        await reconcile(signal);
      }
    } finally {
      isReconciling = false;
    }
  };
  const requestReconciliation = (): void => {
    isRequested = true;
    if (isReconciling) return;
    isReconciling = true;
    log.warn(
      { code: 'repair_burst', namespaces: namespaces.size },
      'accounts of many namespaces changed; reconciling all of them',
    );
    runInBackground(reconcileWhileRequested);
  };

  return (namespace) => {
    const nowMs = clock.monotonicMs();
    const decision = decideBurst({ sinceMs, namespaces }, namespace, nowMs);
    if (decision === 'reconcile') {
      requestReconciliation();
      return;
    }
    if (decision === 'open-window') {
      sinceMs = nowMs;
      namespaces.clear();
    }
    namespaces.add(namespace);
    repair(namespace);
  };
}
