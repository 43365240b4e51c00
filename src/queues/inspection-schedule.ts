import { BoundedMap } from '../util/bounded-map.ts';
import type { Clock } from '../util/clock.ts';

interface InspectionScheduleParts {
  readonly clock: Clock;
  readonly inspect: (queues: readonly string[], signal: AbortSignal) => Promise<void>;
  /** Takes why an inspection failed; the next survey does its work. */
  readonly onError: (error: unknown) => void;
}

/** This agent's inspections to come, in memory, and which queues were created or deleted lately. */
export interface InspectionSchedule {
  /** Schedules the inspection of a queue. Scheduled several times, it is inspected once, at the earliest time. */
  add(queue: string, afterMs: number): void;
  /** The same, up to a second later, together with others: a client may declare thousands of queues in a row. */
  addToBatch(queue: string, afterMs: number): void;
  cancel(queue: string): void;
  /** How many queues are scheduled. */
  readonly size: number;
  /** Records that a queue was created or deleted: what was observed before is about another queue. */
  recordReplacement(queue: string): void;
  /**
   * Whether a queue of this name is known to have been created or deleted.
   *
   * @param sinceMs in ms of the monotonic clock
   */
  wasReplacedSince(queue: string, sinceMs: number): boolean;
  /** Aborts the running inspection and cancels the rest. */
  stop(): Promise<void>;
}

/**
 * Bounds the memory during a burst, such as all clients of a node that reconnect. Queues above it are left to the next
 * survey.
 */
const MAX_QUEUES = 10_000;

const BATCH_SIZE = 500;

/** The pause between two batches, in ms: the broker has other clients as well. */
const MIN_PAUSE_MS = 50;

/** Inspections in a batch begin at whole multiples of this, in ms. */
const BATCH_EVERY_MS = 1_000;

/** How long a replacement is remembered, in ms: longer than anything that follows an observation. */
const REPLACEMENT_MEMORY_MS = 60_000;

/** An empty schedule. Its timer does not keep the process alive. */
export function createInspectionSchedule({ clock, inspect, onError }: InspectionScheduleParts): InspectionSchedule {
  /** When each queue is to be inspected, and when it was last replaced, in ms of the monotonic clock. */
  const dueMs = new Map<string, number>();
  const replacedMs = new BoundedMap<string, number>({
    maxSize: MAX_QUEUES,
    isExpired: (atMs) => atMs <= clock.monotonicMs() - REPLACEMENT_MEMORY_MS,
  });
  const stopping = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  let timerDueMs = Infinity;
  let running: Promise<void> | undefined;

  const arm = (atMs: number): void => {
    if (running !== undefined || stopping.signal.aborted || atMs >= timerDueMs) return;
    clearTimeout(timer);
    timerDueMs = atMs;
    timer = setTimeout(run, Math.max(MIN_PAUSE_MS, atMs - clock.monotonicMs())).unref();
  };
  const run = (): void => {
    timerDueMs = Infinity;
    running = inspectDue()
      .catch((error: unknown) => {
        if (!stopping.signal.aborted) onError(error);
      })
      .finally(() => {
        running = undefined;
        if (dueMs.size > 0) arm(earliestMs());
      });
  };
  const earliestMs = (): number => {
    let earliest = Infinity;
    for (const atMs of dueMs.values()) if (atMs < earliest) earliest = atMs;
    return earliest;
  };
  const inspectDue = async (): Promise<void> => {
    const nowMs = clock.monotonicMs();
    const batch: string[] = [];
    for (const [queue, atMs] of dueMs) {
      if (atMs > nowMs) continue;
      batch.push(queue);
      dueMs.delete(queue);
      if (batch.length >= BATCH_SIZE) break;
    }
    if (batch.length > 0) await inspect(batch, stopping.signal);
  };
  const addAt = (queue: string, atMs: number): void => {
    const scheduledMs = dueMs.get(queue);
    if (scheduledMs === undefined ? dueMs.size >= MAX_QUEUES : scheduledMs <= atMs) return;
    dueMs.set(queue, atMs);
    arm(atMs);
  };

  return {
    get size() {
      return dueMs.size;
    },
    add: (queue, afterMs) => addAt(queue, clock.monotonicMs() + afterMs),
    addToBatch(queue, afterMs) {
      addAt(queue, Math.ceil((clock.monotonicMs() + afterMs) / BATCH_EVERY_MS) * BATCH_EVERY_MS);
    },
    cancel: (queue) => void dueMs.delete(queue),
    recordReplacement: (queue) => replacedMs.set(queue, clock.monotonicMs()),
    wasReplacedSince: (queue, sinceMs) => (replacedMs.get(queue) ?? -Infinity) >= sinceMs,
    async stop() {
      stopping.abort(new Error('The agent stops.'));
      clearTimeout(timer);
      dueMs.clear();
      await running;
    },
  };
}
