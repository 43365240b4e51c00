import { setImmediate as settle } from 'node:timers/promises';
import type { Time } from '../../src/client/time.ts';

/** Time that passes only in {@link advance}. */
export interface VirtualTime extends Time {
  /** Lets this much time pass, waking each sleeper at its time. */
  advance(ms: number): Promise<void>;
  /** Sets the wall clock only, forward or back. */
  setWall(ms: number): void;
}

interface Sleeper {
  readonly atMs: number;
  readonly wake: () => void;
}

/** How many turns of the event loop pass before time advances: work that does not really wait is done by then. */
const TURNS = 5;

/** Makes time that starts at this instant. */
export function createVirtualTime(wallMs: number, random: () => number = () => 0.5): VirtualTime {
  let nowMs = 0;
  let offsetMs = wallMs;
  const sleepers = new Set<Sleeper>();
  const quiet = async (): Promise<void> => {
    for (let turn = 0; turn < TURNS; turn += 1) await settle();
  };
  return {
    nowMs: () => nowMs + offsetMs,
    monotonicMs: () => nowMs,
    setWall: (ms) => void (offsetMs = ms - nowMs),
    random,
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        const sleeper = { atMs: nowMs + ms, wake: resolve };
        sleepers.add(sleeper);
        const onAbort = (): void => {
          sleepers.delete(sleeper);
          reject(signal.reason as Error);
        };
        if (signal.aborted) onAbort();
        else signal.addEventListener('abort', onAbort, { once: true });
      }),
    async advance(ms) {
      const untilMs = nowMs + ms;
      await quiet();
      for (;;) {
        const [next] = [...sleepers].filter(({ atMs }) => atMs <= untilMs).toSorted((a, b) => a.atMs - b.atMs);
        if (next === undefined) break;
        sleepers.delete(next);
        nowMs = Math.max(nowMs, next.atMs);
        next.wake();
        await quiet();
      }
      nowMs = untilMs;
    },
  };
}
