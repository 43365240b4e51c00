/** An invariant does not hold. */
export class Violation extends Error {
  /** Texts to look for in the logs: a namespace, a queue, a correlation id. */
  readonly about: readonly string[];
  readonly atMs = Date.now();

  constructor(invariant: string, message: string, about: readonly string[] = []) {
    super(`${invariant}: ${message}`);
    this.name = 'Violation';
    this.about = about;
  }
}

/** Takes the first violation; the run ends with it. */
export type Report = (violation: Violation) => void;
