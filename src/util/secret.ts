import { inspect } from 'node:util';

const REDACTED = '[secret]';

/**
 * A value that does not print: neither logging, JSON, string conversion nor an inspector shows it.
 *
 * @example
 * const password = new Secret('hunter2');
 * `${password}`; // '[secret]'
 * password.reveal(); // 'hunter2'
 */
export class Secret {
  readonly #value: string;

  constructor(value: string) {
    this.#value = value;
  }

  /** The value itself. Call it only where the value is used. */
  reveal(): string {
    return this.#value;
  }

  toString(): string {
    return REDACTED;
  }

  toJSON(): string {
    return REDACTED;
  }

  [inspect.custom](): string {
    return REDACTED;
  }
}
