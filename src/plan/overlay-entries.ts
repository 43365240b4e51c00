/** A change that an overlay recorded instead of making it. */
export interface Change {
  /** The call that would have been made, by its name in the port. */
  readonly call: string;
  /** What it would have changed: a user, a queue, a namespace. */
  readonly subject: string;
}

/** Called for each change instead of making it. */
export type OnChange = (change: Change) => void;

/**
 * What an overlay answers as if it had been written. An entry expires after `lastsMs`: from then on the real state counts
 * again, and a change that is still needed is recorded again.
 */
export class OverlayEntries<Value> {
  readonly #entries = new Map<string, { readonly value: Value; readonly expiresMs: number }>();
  readonly #monotonicMs: () => number;
  readonly #lastsMs: number;

  constructor(monotonicMs: () => number, lastsMs: number) {
    this.#monotonicMs = monotonicMs;
    this.#lastsMs = lastsMs;
  }

  set(key: string, value: Value): void {
    this.#entries.delete(key);
    this.#entries.set(key, { value, expiresMs: this.#monotonicMs() + this.#lastsMs });
  }

  get(key: string): Value | undefined {
    this.#removeExpired();
    return this.#entries.get(key)?.value;
  }

  has(key: string): boolean {
    this.#removeExpired();
    return this.#entries.has(key);
  }

  #removeExpired(): void {
    // The map is in the order of expiry.
    for (const [key, { expiresMs }] of this.#entries) {
      if (expiresMs > this.#monotonicMs()) return;
      this.#entries.delete(key);
    }
  }
}
