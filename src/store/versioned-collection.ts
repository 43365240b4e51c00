/**
 * Records of one kind, by id. Every write is a compare-and-set on the revision and raises it by one; the first write makes it
 * 1.
 */
export interface VersionedCollection<Item> {
  get(id: string): Promise<Item | undefined>;
  /** Adds an item of revision 1. Returns false, and changes nothing, when the id is there. */
  insert(item: Item): Promise<boolean>;
  /**
   * Puts `item`, whose revision must be `expectedRevision + 1`, in the place of the one that has `expectedRevision`. Returns
   * false, and changes nothing, when there is none.
   */
  replace(item: Item, expectedRevision: number): Promise<boolean>;
  /** Removes the item if it has this revision. */
  remove(id: string, expectedRevision: number): Promise<boolean>;
}

/** Adds `item` unless its id is there. Returns the one that is kept: `item` itself, or an earlier one. */
export async function insertOrGet<Item>(
  collection: Pick<VersionedCollection<Item>, 'insert' | 'get'>,
  id: string,
  item: Item,
): Promise<Item> {
  for (;;) {
    if (await collection.insert(item)) return item;
    const known = await collection.get(id);
    // If it was pruned since then, it is added after all.
    if (known !== undefined) return known;
  }
}

/**
 * Guards every write: a wrong revision, which only a bug can cause, would break every compare-and-set after it.
 *
 * @throws RangeError when `item` has another revision
 */
export function requireRevision({ revision }: { readonly revision: number }, expected: number, id: string): void {
  if (revision !== expected) {
    throw new RangeError(`The record of ${id} has revision ${revision} where ${expected} is to be written.`);
  }
}
