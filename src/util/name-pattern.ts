import { createRequire } from 'node:module';
import type { RE2JS } from 're2js';

/** A regular expression over whole names. */
export interface NamePattern {
  /** The configured text. */
  readonly source: string;
  /** Whether it matches the whole name. */
  test(name: string): boolean;
}

type Engine = typeof RE2JS;

let engine: Engine | undefined;

/** Loaded on demand: an agent without patterns saves 3 MB. */
function loadEngine(): Engine {
  engine ??= (createRequire(import.meta.url)('re2js') as { readonly RE2JS: Engine }).RE2JS;
  return engine;
}

/** A pattern that matches itself alone. It needs no engine. */
const LITERAL = /^[\w/-]+$/;

/** Whether one of the patterns matches the whole name. */
export function matchesAny(patterns: readonly Pick<NamePattern, 'test'>[], name: string): boolean {
  return patterns.some((pattern) => pattern.test(name));
}

/**
 * Parses a pattern in the syntax of RE2: that of JavaScript without lookaround and backreferences. Matching takes time in
 * proportion to the length of the name; with JavaScript's own engine, a client could choose a name that blocks the agent.
 *
 * @throws Error when `source` is not a pattern
 * @example
 * readNamePattern('queue/taskcluster-logs/.*').test('queue/taskcluster-logs/all'); // true
 */
export function readNamePattern(source: string): NamePattern {
  if (LITERAL.test(source)) return Object.freeze({ source, test: (name: string) => name === source });
  const compiled = loadEngine().compile(source);
  return Object.freeze({ source, test: (name: string) => compiled.matches(name) });
}
