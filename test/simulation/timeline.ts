/** Virtual time: it stands still while work is done, and jumps to the next planned work. */
export interface Timeline {
  /** Milliseconds since the history began. */
  nowMs(): number;
  /** Plans work in this many ms. Work at the same instant is done in the order in which it was planned. */
  after(delayMs: number, work: () => void): void;
  /** Advances to this instant and does all the work planned until then. */
  advanceTo(untilMs: number): Promise<void>;
}

interface Planned {
  readonly atMs: number;
  readonly order: number;
  readonly work: () => void;
}

/** Starts at 0. `check` is called after each step, and throws to end the history. */
export function createTimeline(check: () => void): Timeline {
  const heap: Planned[] = [];
  let nowMs = 0;
  let order = 0;
  return {
    nowMs: () => nowMs,
    after(delayMs, work) {
      order += 1;
      push(heap, { atMs: nowMs + Math.max(delayMs, 0), order, work });
    },
    async advanceTo(untilMs) {
      for (;;) {
        // All work continues by promises alone: when this resolves, all of it waits for virtual time.
        await new Promise(setImmediate);
        check();
        const [next] = heap;
        if (next === undefined || next.atMs > untilMs) break;
        pop(heap);
        nowMs = next.atMs;
        next.work();
      }
      nowMs = Math.max(nowMs, untilMs);
    },
  };
}

function isBefore(a: Planned, b: Planned): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}

function push(heap: Planned[], planned: Planned): void {
  let at = heap.length;
  while (at > 0) {
    const above = (at - 1) >> 1;
    const parent = heap[above] as Planned;
    if (isBefore(parent, planned)) break;
    heap[at] = parent;
    at = above;
  }
  heap[at] = planned;
}

function pop(heap: Planned[]): void {
  const last = heap.pop();
  if (last === undefined || heap.length === 0) return;
  let at = 0;
  for (;;) {
    let below = 2 * at + 1;
    if (below >= heap.length) break;
    if (below + 1 < heap.length && isBefore(heap[below + 1] as Planned, heap[below] as Planned)) below += 1;
    if (isBefore(last, heap[below] as Planned)) break;
    heap[at] = heap[below] as Planned;
    at = below;
  }
  heap[at] = last;
}
