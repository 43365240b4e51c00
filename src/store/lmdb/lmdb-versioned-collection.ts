import type { Database, RootDatabase } from 'lmdb';
import type { StoreGate } from '../store-gate.ts';
import { requireRevision, type VersionedCollection } from '../versioned-collection.ts';

/** What is read of a database that does not exist. */
const EMPTY = { get: () => undefined, getRange: () => [] };

/**
 * Records with a revision in LMDB. The version of an entry is the record's revision, so that LMDB itself compares it when it
 * writes, many writes to a transaction. Indexes are written under the same condition in the same transaction.
 */
export abstract class LmdbVersionedCollection<Item extends { readonly revision: number }>
  implements VersionedCollection<Item>
{
  protected readonly gate: StoreGate;
  protected readonly items: Database<Item, string>;

  constructor(root: RootDatabase, name: string, gate: StoreGate) {
    this.gate = gate;
    // When it is opened for reading, LMDB has no database that is not there yet: an agent of an earlier version made the store.
    const opened: Database<Item, string> | undefined = root.openDB({ name, encoding: 'json', useVersions: true });
    this.items = opened ?? (EMPTY as unknown as Database<Item, string>);
  }

  protected abstract idOf(item: Item): string;

  /** Called in the transaction of a write; `undefined` stands for no item before or after it. */
  protected abstract updateIndexes(before: Item | undefined, after: Item | undefined): void;

  async get(id: string): Promise<Item | undefined> {
    return await this.gate.run(() => this.items.get(id));
  }

  async insert(item: Item): Promise<boolean> {
    const id = this.idOf(item);
    requireRevision(item, 1, id);
    return await this.gate.run(() => this.writeNew(item));
  }

  /** @param also further writes under the same condition, in the same transaction */
  protected writeNew(item: Item, also?: () => void): Promise<boolean> {
    const id = this.idOf(item);
    return this.items.ifNoExists(id, () => this.#write(id, undefined, item, also));
  }

  async replace(item: Item, expectedRevision: number): Promise<boolean> {
    const id = this.idOf(item);
    requireRevision(item, expectedRevision + 1, id);
    return await this.gate.run(() => this.writeOver(id, expectedRevision, item));
  }

  async remove(id: string, expectedRevision: number): Promise<boolean> {
    return await this.gate.run(() => this.writeOver(id, expectedRevision, undefined));
  }

  /** Writes items as they are, with their revisions: for an import, which no agent sees before its end. */
  async restore(items: readonly Item[]): Promise<void> {
    await this.gate.run(() =>
      this.items.batch(() => {
        for (const item of items) {
          const id = this.idOf(item);
          this.#write(id, this.items.get(id), item);
        }
      }),
    );
  }

  /** The items after an id, in the order of their ids. */
  protected async listAfter(
    after: string | undefined,
    limit: number,
    isWanted: (item: Item) => boolean = () => true,
  ): Promise<Item[]> {
    return await this.gate.run(() => {
      const found: Item[] = [];
      if (limit <= 0) return found;
      for (const { key, value } of this.items.getRange(after === undefined ? {} : { start: after })) {
        if (key === after || !isWanted(value)) continue;
        found.push(value);
        if (found.length >= limit) break;
      }
      return found;
    });
  }

  /**
   * LMDB writes only if the version is still that of the item read here: so the old index entries are known.
   *
   * @param also further writes under the same condition, in the same transaction
   */
  protected async writeOver(
    id: string,
    expectedRevision: number,
    after: Item | undefined,
    also?: () => void,
  ): Promise<boolean> {
    const before = this.items.get(id);
    if (before?.revision !== expectedRevision) return false;
    return await this.items.ifVersion(id, expectedRevision, () => this.#write(id, before, after, also));
  }

  #write(id: string, before: Item | undefined, after: Item | undefined, also?: () => void): void {
    also?.();
    if (after === undefined) void this.items.remove(id);
    else void this.items.put(id, after, after.revision);
    this.updateIndexes(before, after);
  }
}
