import type { StoreGate } from '../store-gate.ts';

/** How many removals go into one transaction: other writes wait for about a millisecond then. */
const BATCH_SIZE = 1000;

interface PruneSteps<Key> {
  /** The keys of what is to be removed, at most `limit`. */
  readonly list: (beforeMs: number, limit: number) => Iterable<Key>;
  /** Removes them. Returns how many records were removed. */
  readonly remove: (keys: readonly Key[]) => Promise<number>;
}

/** A `prune` method that removes in small transactions. Concurrent calls run one after the other, each with fresh keys. */
export function createLmdbPrune<Key>(
  gate: StoreGate,
  { list, remove }: PruneSteps<Key>,
): (beforeMs: number) => Promise<number> {
  let last: Promise<unknown> = Promise.resolve();
  const prune = async (beforeMs: number): Promise<number> => {
    for (let count = 0; ; ) {
      gate.requireOpen();
      const keys = [...list(beforeMs, BATCH_SIZE)];
      count += await remove(keys);
      if (keys.length < BATCH_SIZE) return count;
    }
  };
  return async (beforeMs) => {
    const pruned = last.then(() => gate.run(() => prune(beforeMs)));
    last = pruned.catch(() => undefined);
    return await pruned;
  };
}
