/** By what to sort: the keys of one list are all numbers or all texts. Undefined and null: unknown. */
export type SortKey = number | string | null | undefined;

/** `asc`: the smallest first. */
export type SortOrder = 'asc' | 'desc';

/**
 * Sorts by a key. What is unknown comes last in both orders.
 *
 * @param tie orders items with equal keys
 */
export function sortedBy<Item>(
  items: readonly Item[],
  keyOf: (item: Item) => SortKey,
  order: SortOrder,
  tie: (one: Item, other: Item) => number,
): Item[] {
  return items.toSorted((one, other) => compareKeys(keyOf(one), keyOf(other), order) || tie(one, other));
}

/** Orders by a key, as {@link sortedBy} does. */
export function compareKeys(a: SortKey, b: SortKey, order: SortOrder): number {
  const [one, other] = [a ?? undefined, b ?? undefined];
  if (one === other) return 0;
  if (one === undefined) return 1;
  if (other === undefined) return -1;
  return one < other === (order === 'asc') ? -1 : 1;
}
