import type { Sleep } from './clock.ts';

/** What {@link createBatcher} works with. */
export interface BatcherOptions<T> {
  /** Begins work that nobody waits for. */
  readonly start: (work: (signal: AbortSignal) => Promise<void>) => void;
  readonly together: (items: readonly T[], signal: AbortSignal) => Promise<void>;
  readonly sleep: Sleep;
  /** How long the first one waits for others, in ms. */
  readonly withinMs: number;
}

/**
 * Makes a function that takes one thing at a time and has all those worked on together, each once, that come within a
 * moment. Those that come later do not wait for the ones under way.
 */
export function createBatcher<T>({ start, together, sleep, withinMs }: BatcherOptions<T>): (item: T) => void {
  let gathered = new Set<T>();
  const take = (): readonly T[] => {
    const items = [...gathered];
    gathered = new Set();
    return items;
  };
  return (item) => {
    const isFirst = gathered.size === 0;
    gathered.add(item);
    if (!isFirst) return;
    start(async (signal) => {
      try {
        await sleep(withinMs, signal);
      } catch (error) {
        take();
        throw error;
      }
      await together(take(), signal);
    });
  };
}
