import type { Database, RootDatabase } from 'lmdb';
import type { AuditQuery, AuditRecord, AuditStore } from '../audit-records.ts';
import type { StoreGate } from '../gate.ts';

type TimeKey = [atMs: number, id: string];
type NamespaceKey = [namespace: string, atMs: number, id: string];

/** So many removals go into one transaction: other writes wait for about a millisecond then. */
const PRUNE_AT_ONCE = 1000;

/** The audit in LMDB, in the order of its time. Records never change, so that writing one again is no harm. */
export class LmdbAudit implements AuditStore {
  readonly #gate: StoreGate;
  readonly #records: Database<AuditRecord, TimeKey | [number]>;
  readonly #byNamespace: Database<true, NamespaceKey | [string] | [string, number]>;
  #pruning: Promise<unknown> = Promise.resolve();

  constructor(root: RootDatabase, gate: StoreGate) {
    this.#gate = gate;
    this.#records = root.openDB({ name: 'audit', encoding: 'json' });
    this.#byNamespace = root.openDB({ name: 'audit-by-namespace', encoding: 'json' });
  }

  async append(records: readonly AuditRecord[]): Promise<void> {
    await this.#gate.run(() =>
      this.#records.batch(() => {
        for (const record of records) {
          const { namespace, atMs, id } = record;
          void this.#records.put([atMs, id], record);
          if (namespace !== null) void this.#byNamespace.put([namespace, atMs, id], true);
        }
      }),
    );
  }

  async list(query: AuditQuery): Promise<AuditRecord[]> {
    return await this.#gate.run(() => {
      const found: AuditRecord[] = [];
      if (query.limit <= 0) return found;
      for (const record of this.#newestFirst(query)) {
        if (query.before !== undefined && !comesBefore(record, query.before)) continue;
        if (record.atMs < (query.sinceMs ?? -Infinity)) break;
        found.push(record);
        if (found.length >= query.limit) break;
      }
      return found.toReversed();
    });
  }

  async prune(beforeMs: number): Promise<number> {
    // One after the other: a second one would count what the first is removing.
    const pruned = this.#pruning.then(() => this.#gate.run(() => this.#prune(beforeMs)));
    this.#pruning = pruned.catch(() => undefined);
    return await pruned;
  }

  async #prune(beforeMs: number): Promise<number> {
    for (let count = 0; ; ) {
      this.#gate.requireOpen();
      const old = [...this.#records.getRange({ end: [beforeMs], limit: PRUNE_AT_ONCE })];
      await this.#records.batch(() => {
        for (const { value } of old) {
          const { namespace, atMs, id } = value;
          void this.#records.remove([atMs, id]);
          if (namespace !== null) void this.#byNamespace.remove([namespace, atMs, id]);
        }
      });
      count += old.length;
      if (old.length < PRUNE_AT_ONCE) return count;
    }
  }

  *#newestFirst({ namespace, untilMs, before }: AuditQuery): Generator<AuditRecord> {
    // Nothing from `endMs` on; whoever is in the millisecond of `before` is looked at one by one.
    const endMs = Math.min(untilMs ?? Number.MAX_SAFE_INTEGER, (before?.atMs ?? Number.MAX_SAFE_INTEGER) + 1);
    if (namespace === undefined) {
      for (const { value } of this.#records.getRange({ start: [endMs], reverse: true })) yield value;
      return;
    }
    for (const key of this.#byNamespace.getKeys({ start: [namespace, endMs], end: [namespace], reverse: true })) {
      const [, atMs, id] = key;
      const record = atMs === undefined || id === undefined ? undefined : this.#records.get([atMs, id]);
      if (record !== undefined) yield record;
    }
  }
}

function comesBefore(record: AuditRecord, other: Pick<AuditRecord, 'atMs' | 'id'>): boolean {
  return record.atMs < other.atMs || (record.atMs === other.atMs && record.id < other.id);
}
