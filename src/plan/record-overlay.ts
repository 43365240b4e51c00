/** A change that was only pretended. */
export interface Effect {
  /** The call that would have been made, as the port names it. */
  readonly call: string;
  /** What it would have been about: a user, a queue, a namespace. */
  readonly subject: string;
}

/** Told of each change instead of making it. */
export type OnEffect = (effect: Effect) => void;

/**
 * What was pretended lately. It is forgotten after a while: what really happens meanwhile is the truth again, and a
 * change that is needed for longer is told again.
 */
export class RecordOverlay<Value> {
  readonly #kept = new Map<string, { readonly value: Value; readonly untilMs: number }>();
  readonly #monotonicMs: () => number;
  readonly #lastsMs: number;

  constructor(monotonicMs: () => number, lastsMs: number) {
    this.#monotonicMs = monotonicMs;
    this.#lastsMs = lastsMs;
  }

  set(key: string, value: Value): void {
    this.#kept.delete(key);
    this.#kept.set(key, { value, untilMs: this.#monotonicMs() + this.#lastsMs });
  }

  get(key: string): Value | undefined {
    this.#forgetOld();
    return this.#kept.get(key)?.value;
  }

  has(key: string): boolean {
    this.#forgetOld();
    return this.#kept.has(key);
  }

  #forgetOld(): void {
    // In the order of their ends.
    for (const [key, { untilMs }] of this.#kept) {
      if (untilMs > this.#monotonicMs()) return;
      this.#kept.delete(key);
    }
  }
}
