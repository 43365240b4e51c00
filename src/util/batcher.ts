import type { Sleep } from './clock.ts';

interface BatcherOptions<Item> {
  readonly runInBackground: (task: (signal: AbortSignal) => Promise<void>) => void;
  readonly processBatch: (items: readonly Item[], signal: AbortSignal) => Promise<void>;
  readonly sleep: Sleep;
  /** How long the first item of a batch waits for more, in ms. */
  readonly windowMs: number;
}

/**
 * Batches the items that arrive within `windowMs`, each once, into one call of `processBatch`. Later items form the next batch
 * and do not wait for this one.
 */
export function createBatcher<Item>(options: BatcherOptions<Item>): (item: Item) => void {
  const { runInBackground, processBatch, sleep, windowMs } = options;
  let batch = new Set<Item>();
  const takeBatch = (): readonly Item[] => {
    const items = [...batch];
    batch = new Set();
    return items;
  };
  return (item) => {
    const isFirst = batch.size === 0;
    batch.add(item);
    if (!isFirst) return;
    runInBackground(async (signal) => {
      try {
        await sleep(windowMs, signal);
      } catch (error) {
        takeBatch();
        throw error;
      }
      await processBatch(takeBatch(), signal);
    });
  };
}
