import type { Database, RootDatabase } from 'lmdb';
import type { StoreGate } from '../gate.ts';
import type { DueNotices, Notice, NoticeStore } from '../notice-records.ts';
import { requireRevision } from '../revision.ts';

type InstantKey = [instantMs: number, id: string];
type InstantIndex = Database<true, InstantKey | [number]>;

/** So many removals go into one transaction: other writes wait for about a millisecond then. */
const PRUNE_AT_ONCE = 1000;

/** The outbox of notices in LMDB. The version of an entry is the notice's revision. */
export class LmdbNotices implements NoticeStore {
  readonly #gate: StoreGate;
  readonly #notices: Database<Notice, string>;
  /** Only those that wait, by `nextAttemptMs`. */
  readonly #waiting: InstantIndex;
  /** Only those that can be pruned, by the instant of {@link prunableFrom}. */
  readonly #prunable: InstantIndex;

  constructor(root: RootDatabase, gate: StoreGate) {
    this.#gate = gate;
    this.#notices = root.openDB({ name: 'notices', encoding: 'json', useVersions: true });
    this.#waiting = root.openDB({ name: 'notices-waiting', encoding: 'json' });
    this.#prunable = root.openDB({ name: 'notices-prunable', encoding: 'json' });
  }

  async add(notice: Notice): Promise<Notice> {
    requireRevision(notice, 1, notice.id);
    return await this.#gate.run(async () => {
      for (;;) {
        this.#gate.requireOpen();
        const known = this.#notices.get(notice.id);
        if (known !== undefined) return known;
        if (await this.#notices.ifNoExists(notice.id, () => this.#write(undefined, notice))) return notice;
      }
    });
  }

  async get(id: string): Promise<Notice | undefined> {
    return await this.#gate.run(() => this.#notices.get(id));
  }

  async replace(notice: Notice, expectedRevision: number): Promise<boolean> {
    requireRevision(notice, expectedRevision + 1, notice.id);
    return await this.#gate.run(async () => {
      const before = this.#notices.get(notice.id);
      if (before?.revision !== expectedRevision) return false;
      return await this.#notices.ifVersion(notice.id, expectedRevision, () => this.#write(before, notice));
    });
  }

  async due({ beforeMs, limit }: DueNotices): Promise<Notice[]> {
    return await this.#gate.run(() => {
      const found: Notice[] = [];
      if (limit <= 0) return found;
      for (const [instantMs, id] of this.#waiting.getKeys()) {
        if (id === undefined || instantMs > beforeMs) break;
        const notice = this.#notices.get(id);
        if (notice !== undefined) found.push(notice);
        if (found.length >= limit) break;
      }
      return found;
    });
  }

  async countWaiting(): Promise<number> {
    return await this.#gate.run(() => this.#waiting.getKeysCount());
  }

  async prune(beforeMs: number): Promise<number> {
    return await this.#gate.run(async () => {
      for (let count = 0; ; ) {
        this.#gate.requireOpen();
        const keys = [...this.#prunable.getKeys({ end: [beforeMs], limit: PRUNE_AT_ONCE })];
        const removed = await Promise.all(keys.map((key) => this.#remove(key)));
        count += removed.filter(Boolean).length;
        if (keys.length < PRUNE_AT_ONCE) return count;
      }
    });
  }

  /** One that has changed since it was listed stays. */
  async #remove([instantMs, id]: InstantKey | [number]): Promise<boolean> {
    const notice = id === undefined ? undefined : this.#notices.get(id);
    if (notice === undefined || prunableFrom(notice) !== instantMs) return false;
    return await this.#notices.ifVersion(notice.id, notice.revision, () => this.#write(notice, undefined));
  }

  #write(before: Notice | undefined, after: Notice | undefined): void {
    if (after !== undefined) void this.#notices.put(after.id, after, after.revision);
    else if (before !== undefined) void this.#notices.remove(before.id);
    if (before?.state === 'waiting') void this.#waiting.remove([before.nextAttemptMs, before.id]);
    if (after?.state === 'waiting') void this.#waiting.put([after.nextAttemptMs, after.id], true);
    const [from, to] = [before && prunableFrom(before), after && prunableFrom(after)];
    if (before !== undefined && typeof from === 'number') void this.#prunable.remove([from, before.id]);
    if (after !== undefined && typeof to === 'number') void this.#prunable.put([to, after.id], true);
  }
}

/** The instant that says how old it is, once it may be forgotten; null while it may not. */
function prunableFrom({ state, settledMs, seenMs }: Notice): number | null {
  return state === 'held' ? seenMs : settledMs;
}
