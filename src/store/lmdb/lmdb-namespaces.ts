import { hash } from 'node:crypto';
import type { Database, RootDatabase } from 'lmdb';
import { countByState, HELD_STATES, type NamespaceRecord, type NamespaceState } from '../namespace-record.ts';
import type { DueOptions, ListOptions, NamespaceStore } from '../store.ts';
import type { NonceWrite } from '../nonce-records.ts';
import type { StoreGate } from '../store-gate.ts';
import { requireRevision } from '../versioned-collection.ts';
import type { LmdbNonces } from './lmdb-nonces.ts';
import { LmdbVersionedCollection } from './lmdb-versioned-collection.ts';

/** The state comes first, so that tombstones, whose instants are all past, cost a search for active records nothing. */
type DueKey = [state: NamespaceState, instantMs: number, namespace: string];
type DueIndex = Database<true, DueKey | [NamespaceState]>;
type HeldKey = [holder: string, namespace: string];
type InstantField = 'nextRotationMs' | 'expiresMs';

/** Namespaces in LMDB. */
export class LmdbNamespaces extends LmdbVersionedCollection<NamespaceRecord> implements NamespaceStore {
  readonly #indexes: Readonly<Record<InstantField, DueIndex>>;
  /** Those of {@link HELD_STATES}, by a digest of the client: a key must not be long. */
  readonly #held: Database<true, HeldKey>;

  readonly #nonces: Pick<LmdbNonces, 'keepWith'>;

  constructor(root: RootDatabase, gate: StoreGate, nonces: Pick<LmdbNonces, 'keepWith'>) {
    super(root, 'namespaces', gate);
    this.#nonces = nonces;
    this.#indexes = {
      nextRotationMs: root.openDB({ name: 'namespaces-by-next-rotation', encoding: 'json' }),
      expiresMs: root.openDB({ name: 'namespaces-by-expires', encoding: 'json' }),
    };
    this.#held = root.openDB({ name: 'namespaces-by-holder', encoding: 'json' });
  }

  override async insert(record: NamespaceRecord, nonce?: NonceWrite): Promise<boolean> {
    if (nonce === undefined) return await super.insert(record);
    requireRevision(record, 1, record.namespace);
    return await this.gate.run(() => this.#nonces.keepWith(nonce.entry, (keep) => this.writeNew(record, keep)));
  }

  override async replace(record: NamespaceRecord, expectedRevision: number, nonce?: NonceWrite): Promise<boolean> {
    if (nonce === undefined) return await super.replace(record, expectedRevision);
    const id = record.namespace;
    requireRevision(record, expectedRevision + 1, id);
    return await this.gate.run(() =>
      this.#nonces.keepWith(nonce.entry, (keep) => this.writeOver(id, expectedRevision, record, keep)),
    );
  }

  protected idOf({ namespace }: NamespaceRecord): string {
    return namespace;
  }

  protected updateIndexes(before: NamespaceRecord | undefined, after: NamespaceRecord | undefined): void {
    for (const field of ['nextRotationMs', 'expiresMs'] as const) {
      if (before?.state === after?.state && before?.[field] === after?.[field]) continue;
      if (before !== undefined) void this.#indexes[field].remove(dueKey(field, before));
      if (after !== undefined) void this.#indexes[field].put(dueKey(field, after), true);
    }
    const [from, to] = [before && heldKey(before), after && heldKey(after)];
    if (from !== undefined && from[0] !== to?.[0]) void this.#held.remove(from);
    // Looked up first, because a write of what is there already costs pages of the transaction; it may be missing, because
    // records of a build without this index come in with their next revision.
    if (to !== undefined && (from?.[0] !== to[0] || !this.#held.doesExist(to))) void this.#held.put(to, true);
  }

  async list({ after, limit, states }: ListOptions): Promise<NamespaceRecord[]> {
    if (states !== undefined && (await this.#areRare(states))) return await this.#listRare(states, after, limit);
    return await this.listAfter(after, limit, ({ state }) => states === undefined || states.includes(state));
  }

  async dueForRotation(options: DueOptions): Promise<NamespaceRecord[]> {
    return await this.#due('nextRotationMs', options);
  }

  async dueForExpiry(options: DueOptions): Promise<NamespaceRecord[]> {
    return await this.#due('expiresMs', options);
  }

  async countHeldBy(clientId: string): Promise<number> {
    const holder = digestOf(clientId);
    return await this.gate.run(() => this.#held.getKeysCount({ start: [holder, ''], end: [holder, AFTER_ALL_NAMES] }));
  }

  async countByState(): Promise<Record<NamespaceState, number>> {
    return await this.gate.run(() => countByState((state) => this.#countIn(state)));
  }

  /** Whether few records are in these states. Those that are active are not counted: it would take longer than it saves. */
  async #areRare(states: readonly NamespaceState[]): Promise<boolean> {
    if (states.includes('active')) return false;
    return await this.gate.run(() => states.reduce((sum, state) => sum + this.#countIn(state), 0) <= MAX_RARE);
  }

  /** By the index: a search for some tombstones among 100,000 records would hold up everything else for half a second. */
  async #listRare(
    states: readonly NamespaceState[],
    after: string | undefined,
    limit: number,
  ): Promise<NamespaceRecord[]> {
    return await this.gate.run(() =>
      [...new Set(states)]
        .flatMap((state) => this.#dueKeys('expiresMs', state, Infinity, Infinity))
        .map(([, , namespace]) => namespace)
        .filter((namespace) => after === undefined || namespace > after)
        .toSorted((left, right) => (left < right ? -1 : 1))
        .slice(0, Math.max(0, limit))
        .flatMap((namespace) => this.items.get(namespace) ?? []),
    );
  }

  async #due(field: InstantField, { states, beforeMs, limit }: DueOptions): Promise<NamespaceRecord[]> {
    return await this.gate.run(() =>
      [...new Set(states)]
        .flatMap((state) => this.#dueKeys(field, state, beforeMs, limit))
        .toSorted(([, leftMs, left], [, rightMs, right]) => leftMs - rightMs || (left < right ? -1 : 1))
        .slice(0, Math.max(0, limit))
        .flatMap(([, , namespace]) => this.items.get(namespace) ?? []),
    );
  }

  #dueKeys(field: InstantField, state: NamespaceState, beforeMs: number, limit: number): DueKey[] {
    const found: DueKey[] = [];
    if (limit <= 0) return found;
    for (const key of this.#indexes[field].getKeys({ start: [state] })) {
      const [ofState, instantMs, namespace] = key;
      if (ofState !== state || instantMs === undefined || namespace === undefined || instantMs > beforeMs) break;
      found.push([ofState, instantMs, namespace]);
      if (found.length >= limit) break;
    }
    return found;
  }

  /** In LMDB's own code: 3 ms for 30,000 records. */
  #countIn(state: NamespaceState): number {
    return this.#indexes.expiresMs.getKeysCount({ start: [state], end: [state, Infinity, ''] });
  }
}

/** Up to this many records in the wanted states are listed by the index. */
const MAX_RARE = 5_000;

/** After every name of a namespace, which begins with a letter, a digit, `-` or `_`. */
const AFTER_ALL_NAMES = '\u{10ffff}';

function digestOf(clientId: string): string {
  return hash('sha256', clientId, 'base64url');
}

function heldKey({ state, claimedBy, namespace }: NamespaceRecord): HeldKey | undefined {
  return HELD_STATES.includes(state) ? [digestOf(claimedBy), namespace] : undefined;
}

function dueKey(field: InstantField, record: NamespaceRecord): DueKey {
  return [record.state, record[field], record.namespace];
}
