/**
 * Calls `work` with every item, at most `concurrency` at a time. After a failure no further item is started, and the first
 * error is thrown once those in progress are done.
 */
export async function forEachConcurrently<Item>(
  items: Iterable<Item>,
  concurrency: number,
  work: (item: Item) => Promise<void>,
): Promise<void> {
  const rest = items[Symbol.iterator]();
  const errors: unknown[] = [];
  const runLane = async (): Promise<void> => {
    for (let next = rest.next(); errors.length === 0 && next.done !== true; next = rest.next()) {
      try {
        await work(next.value);
      } catch (error) {
        errors.push(error);
      }
    }
  };
  await Promise.all(Array.from({ length: concurrency }, runLane));
  if (errors.length > 0) throw errors[0];
}
