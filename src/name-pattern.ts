import { createRequire } from 'node:module';

/** A regular expression over whole names. */
export interface NamePattern {
  /** As it was configured. */
  readonly source: string;
  /** Whether it matches the whole name. */
  test(name: string): boolean;
}

type Engine = typeof import('re2js');

let engine: Engine['RE2JS'] | undefined;

/** Loaded where there are patterns: it is 3 MB of an idle agent. */
function loadEngine(): Engine['RE2JS'] {
  engine ??= (createRequire(import.meta.url)('re2js') as Engine).RE2JS;
  return engine;
}

/**
 * Reads a pattern in the syntax of RE2: that of JavaScript without look-around and back-references. It takes time in
 * proportion to the name, whatever the pattern; JavaScript's own could be made to hang by whoever chooses the name.
 *
 * @throws Error when it is none
 * @example
 * readNamePattern('queue/taskcluster-logs/.*').test('queue/taskcluster-logs/all'); // true
 */
export function readNamePattern(source: string): NamePattern {
  const compiled = loadEngine().compile(source);
  return Object.freeze({ source, test: (name: string) => compiled.matches(name) });
}
