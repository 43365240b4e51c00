interface BoundedMapOptions<Value> {
  /** The most entries; any number when absent. */
  readonly maxSize?: number;
  /** Whether an entry is of no use any more. Asked from the oldest entry on, until the first that is still of use. */
  readonly isExpired?: (value: Value) => boolean;
}

/**
 * A map for what strangers name: it cannot grow without limit. Entries are in the order in which they were last set, and
 * {@link set} drops the oldest: those that are expired, and those beyond `maxSize`.
 */
export class BoundedMap<Key, Value> {
  readonly #entries = new Map<Key, Value>();
  readonly #maxSize: number;
  readonly #isExpired: (value: Value) => boolean;

  constructor({ maxSize = Infinity, isExpired = () => false }: BoundedMapOptions<Value>) {
    this.#maxSize = maxSize;
    this.#isExpired = isExpired;
  }

  get size(): number {
    return this.#entries.size;
  }

  get(key: Key): Value | undefined {
    return this.#entries.get(key);
  }

  /** Makes the entry the newest one. */
  set(key: Key, value: Value): void {
    this.#entries.delete(key);
    this.#entries.set(key, value);
    for (const [oldest, oldValue] of this.#entries) {
      if (this.#entries.size <= this.#maxSize && !this.#isExpired(oldValue)) return;
      this.#entries.delete(oldest);
    }
  }

  delete(key: Key): boolean {
    return this.#entries.delete(key);
  }

  /** From the oldest on. */
  keys(): IterableIterator<Key> {
    return this.#entries.keys();
  }

  /** From the oldest on. */
  values(): IterableIterator<Value> {
    return this.#entries.values();
  }
}
