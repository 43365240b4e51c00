import { setImmediate as nextTurn } from 'node:timers/promises';

/** The number of items after which other work of the agent has its turn: each takes some µs. */
const CHUNK = 250;

/** Runs `work` on each item, and lets other work of the agent run in between. */
export async function forEachYielding<Item>(items: Iterable<Item>, work: (item: Item) => void): Promise<void> {
  let count = 0;
  for (const item of items) {
    work(item);
    count += 1;
    if (count % CHUNK === 0) await nextTurn();
  }
}
