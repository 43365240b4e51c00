import type { Database, RootDatabase } from 'lmdb';
import type { AuditQuery, AuditRecord, AuditStore } from '../audit-records.ts';
import type { StoreGate } from '../store-gate.ts';
import { createLmdbPrune } from './lmdb-prune.ts';

type TimeKey = [atMs: number, id: string];
type NamespaceKey = [namespace: string, atMs: number, id: string];

/** The audit in LMDB, in the order of its time. Records never change, so that writing one again does no harm. */
export class LmdbAudit implements AuditStore {
  readonly #gate: StoreGate;
  readonly #records: Database<AuditRecord, TimeKey | [number]>;
  readonly #byNamespace: Database<true, NamespaceKey | [string] | [string, number]>;
  readonly prune: (beforeMs: number) => Promise<number>;

  constructor(root: RootDatabase, gate: StoreGate) {
    this.#gate = gate;
    this.#records = root.openDB({ name: 'audit', encoding: 'json' });
    this.#byNamespace = root.openDB({ name: 'audit-by-namespace', encoding: 'json' });
    this.prune = createLmdbPrune(gate, {
      list: (beforeMs, limit) => this.#records.getRange({ end: [beforeMs], limit }),
      remove: async (old) => {
        await this.#records.batch(() => {
          for (const { value } of old) {
            const { namespace, atMs, id } = value;
            void this.#records.remove([atMs, id]);
            if (namespace !== null) void this.#byNamespace.remove([namespace, atMs, id]);
          }
        });
        return old.length;
      },
    });
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

  *#newestFirst({ namespace, untilMs, before }: AuditQuery): Generator<AuditRecord> {
    // The range is exclusive; the records in the millisecond of `before` are compared one by one.
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
