import type { Database, RootDatabase } from 'lmdb';
import type { StoreGate } from '../store-gate.ts';
import type { NonceEntry, NonceStore } from '../nonce-records.ts';
import { createLmdbPrune } from './lmdb-prune.ts';

const WITHOUT_OUTCOME = 1;
const WITH_OUTCOME = 2;

/** Used signatures in LMDB. The version of an entry says whether its outcome is known. */
export class LmdbNonces implements NonceStore {
  readonly areWrittenWithRecord = true;
  readonly #gate: StoreGate;
  readonly #entries: Database<NonceEntry, string>;
  readonly #byEnd: Database<true, [acceptableUntilMs: number, key: string] | [number]>;
  readonly prune: (beforeMs: number) => Promise<number>;

  constructor(root: RootDatabase, gate: StoreGate) {
    this.#gate = gate;
    this.#entries = root.openDB({ name: 'nonces', encoding: 'json', useVersions: true });
    this.#byEnd = root.openDB({ name: 'nonces-by-acceptable-until', encoding: 'json' });
    this.prune = createLmdbPrune(gate, {
      list: (beforeMs, limit) => this.#byEnd.getKeys({ end: [beforeMs], limit }),
      remove: async (keys) => {
        await this.#entries.batch(() => {
          for (const key of keys) {
            if (key[1] !== undefined) void this.#entries.remove(key[1]);
            void this.#byEnd.remove(key);
          }
        });
        return keys.length;
      },
    });
  }

  async get(key: string): Promise<NonceEntry | undefined> {
    return await this.#gate.run(() => this.#entries.get(key));
  }

  /**
   * Keeps `entry` in the transaction of another conditional write, if its key is unknown and that write is made.
   *
   * @param write makes the other write, and calls `keep` under its condition
   * @returns whether both were written
   */
  async keepWith(entry: NonceEntry, write: (keep: () => void) => Promise<boolean>): Promise<boolean> {
    let written: Promise<boolean> | undefined;
    const isNew = this.#entries.ifNoExists(entry.key, () => {
      written = write(() => this.#put(entry));
    });
    return (await Promise.all([isNew, written])).every((isDone) => isDone === true);
  }

  async remember(entry: NonceEntry): Promise<NonceEntry> {
    return await this.#gate.run(async () => {
      for (;;) {
        this.#gate.requireOpen();
        const known = this.#entries.get(entry.key);
        if (known !== undefined) return known;
        const kept = await this.#entries.ifNoExists(entry.key, () => this.#put(entry));
        if (kept) return entry;
      }
    });
  }

  async recordOutcome(key: string, outcome: string): Promise<string | undefined> {
    return await this.#gate.run(async () => {
      const entry = this.#entries.get(key);
      if (entry === undefined || entry.outcome !== null) return entry?.outcome ?? undefined;
      await this.#entries.ifVersion(key, WITHOUT_OUTCOME, () => {
        void this.#entries.put(key, { ...entry, outcome }, WITH_OUTCOME);
      });
      return this.#entries.get(key)?.outcome ?? undefined;
    });
  }

  /** Writes entries as they are: for an import. */
  async restore(entries: readonly NonceEntry[]): Promise<void> {
    await this.#gate.run(() =>
      this.#entries.batch(() => {
        for (const entry of entries) this.#put(entry);
      }),
    );
  }

  #put(entry: NonceEntry): void {
    void this.#entries.put(entry.key, entry, entry.outcome === null ? WITHOUT_OUTCOME : WITH_OUTCOME);
    void this.#byEnd.put([entry.acceptableUntilMs, entry.key], true);
  }
}
