import type { NamespaceDescription } from '../client/client.ts';

/** What several answers showed of the depth of queues: each agent knows its own observations alone. */
export interface QueueTrends {
  add(description: NamespaceDescription): void;
  /** The latest depths, in the order of their time; null: unknown. */
  of(queue: string): (number | null)[];
}

/** How many observations are shown. */
const SHOWN = 20;

/** Creates trends without any observation. */
export function createQueueTrends(): QueueTrends {
  let instants: string[] = [];
  let depths = new Map<string, Map<string, number>>();
  return {
    add({ observedAt = [], queues = [] }) {
      instants = [...new Set([...instants, ...observedAt])].toSorted().slice(-SHOWN);
      const next: typeof depths = new Map();
      for (const { queue, trend } of queues) {
        const known = new Map(depths.get(queue));
        for (const [index, at] of observedAt.entries()) {
          const amount = trend[index] ?? null;
          if (amount !== null) known.set(at, amount);
        }
        next.set(queue, new Map([...known].filter(([at]) => instants.includes(at))));
      }
      depths = next;
    },
    of(queue) {
      const known = depths.get(queue);
      const first = instants.findIndex((at) => known?.has(at));
      return first === -1 ? [] : instants.slice(first).map((at) => known?.get(at) ?? null);
    },
  };
}
