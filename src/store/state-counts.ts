import { NAMESPACE_STATES, type NamespaceState } from './namespace-record.ts';

/** Counts the records of each state with `count`. */
export async function countStates(
  count: (state: NamespaceState) => number | Promise<number>,
): Promise<Record<NamespaceState, number>> {
  const counted = await Promise.all(NAMESPACE_STATES.map(async (state) => [state, await count(state)] as const));
  return Object.fromEntries(counted) as Record<NamespaceState, number>;
}
