import type { Clock } from '../util/clock.ts';

/** What {@link createInspectionSchedule} works with. */
export interface InspectionScheduleParts {
  readonly clock: Clock;
  /** Looks at these queues. */
  readonly look: (queues: readonly string[], signal: AbortSignal) => Promise<void>;
  /** A look that failed; the next survey does its work. */
  readonly onFault: (error: unknown) => void;
}

/** Remembers which queues to look at soon, and looks at many of them at once. */
export interface InspectionSchedule {
  /** Asks for a look at a queue in so many ms; asked for several times, it is looked at once, at the earliest time. */
  ask(queue: string, afterMs: number): void;
  /** A queue came or went: what was seen of it before is about another one. */
  renewed(queue: string): void;
  /** Whether nothing is known to have come or gone under this name since an instant, in ms of the monotonic clock. */
  isSameSince(queue: string, sinceMs: number): boolean;
  drop(queue: string): void;
  /** How many queues wait for a look. */
  readonly waiting: number;
  stop(): Promise<void>;
}

/**
 * So many queues wait for a look at most, whatever bursts come: a node's worth of clients that connect again. One more is
 * left to the next survey.
 */
const MOST_WAITING = 10_000;

/** So many at once. */
const BATCH = 500;

/** The pause between two batches, in ms: others talk to the broker as well. */
const SHORTEST_PAUSE_MS = 50;

/** For so long it is remembered that a queue came or went, in ms: longer than anything that is done after a look. */
const RENEWED_MS = 60_000;

/** Starts with nothing to look at. */
export function createInspectionSchedule({ clock, look, onFault }: InspectionScheduleParts): InspectionSchedule {
  const due = new Map<string, number>();
  const renewals = new Map<string, number>();
  const stopping = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  let timerDueMs = Infinity;
  let looking: Promise<void> | undefined;

  const arm = (atMs: number): void => {
    if (looking !== undefined || stopping.signal.aborted || atMs >= timerDueMs) return;
    clearTimeout(timer);
    timerDueMs = atMs;
    timer = setTimeout(start, Math.max(SHORTEST_PAUSE_MS, atMs - clock.monotonicMs())).unref();
  };
  const start = (): void => {
    timerDueMs = Infinity;
    looking = lookAtDue()
      .catch((error: unknown) => {
        if (!stopping.signal.aborted) onFault(error);
      })
      .finally(() => {
        looking = undefined;
        if (due.size > 0) arm(earliest());
      });
  };
  const earliest = (): number => {
    let earliestMs = Infinity;
    for (const atMs of due.values()) if (atMs < earliestMs) earliestMs = atMs;
    return earliestMs;
  };
  const lookAtDue = async (): Promise<void> => {
    const nowMs = clock.monotonicMs();
    const batch: string[] = [];
    for (const [queue, atMs] of due) {
      if (atMs > nowMs) continue;
      batch.push(queue);
      due.delete(queue);
      if (batch.length >= BATCH) break;
    }
    if (batch.length > 0) await look(batch, stopping.signal);
  };

  return {
    get waiting() {
      return due.size;
    },
    ask(queue, afterMs) {
      const atMs = clock.monotonicMs() + afterMs;
      const known = due.get(queue);
      if (known === undefined ? due.size >= MOST_WAITING : known <= atMs) return;
      due.set(queue, atMs);
      arm(atMs);
    },
    renewed(queue) {
      const nowMs = clock.monotonicMs();
      renewals.delete(queue);
      renewals.set(queue, nowMs);
      for (const [oldest, atMs] of renewals) {
        // In order of time: the first young one ends it.
        if (renewals.size <= MOST_WAITING && atMs > nowMs - RENEWED_MS) break;
        renewals.delete(oldest);
      }
    },
    isSameSince: (queue, sinceMs) => (renewals.get(queue) ?? -Infinity) < sinceMs,
    drop: (queue) => void due.delete(queue),
    async stop() {
      stopping.abort(new Error('The agent stops.'));
      clearTimeout(timer);
      due.clear();
      await looking;
    },
  };
}
