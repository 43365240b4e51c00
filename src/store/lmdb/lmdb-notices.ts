import type { Database, RootDatabase } from 'lmdb';
import { type DueNotices, type Notice, type NoticeStore, UNSENT_STATES } from '../notice-records.ts';
import type { StoreGate } from '../store-gate.ts';
import { insertOrGet } from '../versioned-collection.ts';
import { createLmdbPrune } from './lmdb-prune.ts';
import { LmdbVersionedCollection } from './lmdb-versioned-collection.ts';

type InstantKey = [instantMs: number, id: string];
type InstantIndex = Database<true, InstantKey | [number]>;

/** The outbox of notices in LMDB. */
export class LmdbNotices extends LmdbVersionedCollection<Notice> implements NoticeStore {
  /** Those that are still to be sent, by `nextAttemptMs`. */
  readonly #waiting: InstantIndex;
  /** Those that may be pruned, by the instant of {@link prunableFrom}. */
  readonly #prunable: InstantIndex;
  readonly prune: (beforeMs: number) => Promise<number>;

  constructor(root: RootDatabase, gate: StoreGate) {
    super(root, 'notices', gate);
    this.#waiting = root.openDB({ name: 'notices-waiting', encoding: 'json' });
    this.#prunable = root.openDB({ name: 'notices-prunable', encoding: 'json' });
    this.prune = createLmdbPrune(gate, {
      list: (beforeMs, limit) => this.#prunable.getKeys({ end: [beforeMs], limit }),
      remove: async (keys) => (await Promise.all(keys.map((key) => this.#prune(key)))).filter(Boolean).length,
    });
  }

  protected idOf({ id }: Notice): string {
    return id;
  }

  protected updateIndexes(before: Notice | undefined, after: Notice | undefined): void {
    if (before !== undefined && isUnsent(before)) void this.#waiting.remove([before.nextAttemptMs, before.id]);
    if (after !== undefined && isUnsent(after)) void this.#waiting.put([after.nextAttemptMs, after.id], true);
    const [from, to] = [before && prunableFrom(before), after && prunableFrom(after)];
    if (before !== undefined && typeof from === 'number') void this.#prunable.remove([from, before.id]);
    if (after !== undefined && typeof to === 'number') void this.#prunable.put([to, after.id], true);
  }

  async add(notice: Notice): Promise<Notice> {
    return await insertOrGet(this, notice.id, notice);
  }

  async due({ beforeMs, limit }: DueNotices): Promise<Notice[]> {
    return await this.gate.run(() => {
      const found: Notice[] = [];
      if (limit <= 0) return found;
      for (const [instantMs, id] of this.#waiting.getKeys()) {
        if (id === undefined || instantMs > beforeMs) break;
        const notice = this.items.get(id);
        if (notice !== undefined) found.push(notice);
        if (found.length >= limit) break;
      }
      return found;
    });
  }

  async countWaiting(): Promise<number> {
    return await this.gate.run(() => this.#waiting.getKeysCount());
  }

  /** A notice that has changed since it was listed stays. */
  async #prune([instantMs, id]: InstantKey | [number]): Promise<boolean> {
    const notice = id === undefined ? undefined : this.items.get(id);
    if (notice === undefined || prunableFrom(notice) !== instantMs) return false;
    return await this.remove(notice.id, notice.revision);
  }
}

function isUnsent({ state }: Notice): boolean {
  return UNSENT_STATES.includes(state);
}

/** When a notice became old enough to be pruned some time after; null while it may not be pruned. */
function prunableFrom({ state, settledMs, seenMs }: Notice): number | null {
  return state === 'held' ? seenMs : settledMs;
}
