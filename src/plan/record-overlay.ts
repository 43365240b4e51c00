import { BoundedMap } from '../util/bounded-map.ts';

/** A change that was only pretended. */
export interface Effect {
  /** The call that would have been made, as the port names it. */
  readonly call: string;
  /** What it would have been about: a user, a queue, a namespace. */
  readonly subject: string;
}

/** Told of each change instead of making it. */
export type OnEffect = (effect: Effect) => void;

interface Kept<Value> {
  readonly value: Value;
  readonly untilMs: number;
}

/**
 * What was pretended lately. It is forgotten after a while: what really happens meanwhile is the truth again, and a
 * change that is needed for longer is told again.
 */
export class RecordOverlay<Value> {
  readonly #kept = new BoundedMap<string, Kept<Value>>({ isExpired: (kept) => this.#isExpired(kept) });
  readonly #monotonicMs: () => number;
  readonly #lastsMs: number;

  constructor(monotonicMs: () => number, lastsMs: number) {
    this.#monotonicMs = monotonicMs;
    this.#lastsMs = lastsMs;
  }

  set(key: string, value: Value): void {
    this.#kept.set(key, { value, untilMs: this.#monotonicMs() + this.#lastsMs });
  }

  get(key: string): Value | undefined {
    const kept = this.#kept.get(key);
    return kept === undefined || this.#isExpired(kept) ? undefined : kept.value;
  }

  has(key: string): boolean {
    const kept = this.#kept.get(key);
    return kept !== undefined && !this.#isExpired(kept);
  }

  #isExpired({ untilMs }: Kept<Value>): boolean {
    return untilMs <= this.#monotonicMs();
  }
}
