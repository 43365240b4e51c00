import { setTimeout as sleepFor } from 'node:timers/promises';
import type { Clock } from '../util/clock.ts';
import type { Log } from '../util/log.ts';

/** The namespaces whose repair was asked for lately. */
export interface RepairWindow {
  /** Of the monotonic clock. */
  readonly sinceMs: number;
  readonly namespaces: ReadonlySet<string>;
}

/** For so long they are counted, and the whole broker is compared at most so often, in ms. */
export const REPAIR_WINDOW_MS = 5_000;

/** A repair is a job in the store. With more of them in a window, one comparison of everything costs less. */
export const REPAIRS_IN_A_WINDOW = 100;

/**
 * Decides what to do about a namespace whose accounts somebody changed.
 *
 * @returns `begin`: repair it in a new window; `repair` it; `compare` everything, as a script changes all of them
 */
export function decideBurst(
  { sinceMs, namespaces }: RepairWindow,
  namespace: string,
  nowMs: number,
): 'begin' | 'repair' | 'compare' {
  if (nowMs >= sinceMs + REPAIR_WINDOW_MS) return 'begin';
  return namespaces.has(namespace) || namespaces.size < REPAIRS_IN_A_WINDOW ? 'repair' : 'compare';
}

/** What {@link createRepairBurst} works with. */
export interface RepairBurstParts {
  readonly clock: Pick<Clock, 'monotonicMs'>;
  readonly log: Log;
  /** Asks for the repair of one namespace. */
  readonly repair: (namespace: string) => void;
  /** Compares the whole broker with the store. */
  readonly compare: (signal: AbortSignal) => Promise<void>;
  /** Runs something nobody waits for, until the agent stops. */
  readonly inBackground: (work: (signal: AbortSignal) => Promise<void>) => void;
  /** Node's own when absent. */
  readonly sleep?: (ms: number, signal: AbortSignal) => Promise<unknown>;
}

/**
 * Asks for repairs, one for each namespace, or for one comparison of everything where there are too many. It begins a
 * while after the first that is left to it, so it sees what they all changed; one is under way at a time.
 */
export function createRepairBurst(parts: RepairBurstParts): (namespace: string) => void {
  const { clock, log, repair, compare, inBackground } = parts;
  const { sleep = (ms, signal) => sleepFor(ms, undefined, { signal }) } = parts;
  let sinceMs = -Infinity;
  const namespaces = new Set<string>();
  let isComparing = false;
  /** Whether something was left to a comparison that has not begun. */
  let isLeft = false;

  const compareWhatIsLeft = async (signal: AbortSignal): Promise<void> => {
    try {
      while (isLeft) {
        await sleep(REPAIR_WINDOW_MS, signal);
        isLeft = false;
        await compare(signal);
      }
    } finally {
      isComparing = false;
    }
  };
  return (namespace) => {
    const nowMs = clock.monotonicMs();
    const decided = decideBurst({ sinceMs, namespaces }, namespace, nowMs);
    if (decided === 'compare') {
      isLeft = true;
      if (isComparing) return;
      isComparing = true;
      log.warn(
        { code: 'repair_burst', namespaces: namespaces.size },
        'accounts of many namespaces changed; reconciling all of them',
      );
      inBackground(compareWhatIsLeft);
      return;
    }
    if (decided === 'begin') {
      sinceMs = nowMs;
      namespaces.clear();
    }
    namespaces.add(namespace);
    repair(namespace);
  };
}
