import { NAMESPACE_PATTERN } from '../contract/names.ts';
import { readNamePattern } from '../util/name-pattern.ts';

/** Characters that stand for themselves in a pattern. */
const PLAIN = /^[\w/-]*/;

/** What makes the character before it optional. */
const QUANTIFIER = /^[*+?{]/;

const QUEUE = 'queue/';

/** What a pattern says about names, as far as its text shows it without an engine. */
interface Shape {
  readonly source: string;
  /** What every name begins with that it matches. */
  readonly start: string;
  /** `one`: it matches that name alone; `all`: it matches all names that begin so; `some`: a part of these. */
  readonly matches: 'one' | 'all' | 'some';
}

/**
 * Finds out whether a rule can match a queue that no earlier rule matches. It never says so of a rule that can, and sees it
 * where the earlier pattern is the same, or a name, or the beginning of names followed by `.*`.
 *
 * @param index that of the rule
 * @returns the index of the earlier rule that matches all its queues; `no-queue`: it matches the name of no queue and no
 *   namespace; undefined: it can match
 */
export function findShadow(
  patterns: readonly string[],
  index: number,
  namespacePrefix: string,
): number | 'no-queue' | undefined {
  const shape = shapeOf(patterns[index] ?? '');
  if (!canMatchQueue(shape, namespacePrefix)) return 'no-queue';
  const earlier = patterns.slice(0, index).findIndex((source) => covers(shapeOf(source), shape, namespacePrefix));
  return earlier === -1 ? undefined : earlier;
}

function shapeOf(source: string): Shape {
  const pattern = source.replace(/^\^/, '').replace(/\$$/, '');
  let start = PLAIN.exec(pattern)?.[0] ?? '';
  let rest = pattern.slice(start.length);
  if (rest === '') return { source, start, matches: 'one' };
  if (QUANTIFIER.test(rest)) {
    rest = `${start.slice(-1)}${rest}`;
    start = start.slice(0, -1);
  }
  if (rest === '.*') return { source, start, matches: 'all' };
  // An alternative beside the start would not begin with it.
  return { source, start: hasAlternatives(rest) ? '' : start, matches: 'some' };
}

/** Whether there is a `|` outside of brackets. */
function hasAlternatives(pattern: string): boolean {
  let depth = 0;
  for (const character of pattern.replaceAll(/\\./gs, '')) {
    if (character === '(' || character === '[') depth += 1;
    if (character === ')' || character === ']') depth -= 1;
    if (character === '|' && depth <= 0) return true;
  }
  return false;
}

function canMatchQueue({ start, matches }: Shape, namespacePrefix: string): boolean {
  if (matches === 'one') return namespaceOf(start, namespacePrefix) !== undefined;
  return startsOfAll(namespacePrefix).some((name) => name.startsWith(start) || start.startsWith(name));
}

/** The namespace that a name is, or to which a queue of that name belongs. */
function namespaceOf(name: string, namespacePrefix: string): string | undefined {
  const [, inQueue] = /^queue\/([^/]+)\//.exec(name) ?? [];
  const namespace = inQueue ?? name;
  return namespace.startsWith(namespacePrefix) && NAMESPACE_PATTERN.test(namespace) ? namespace : undefined;
}

/** Whether the earlier pattern matches all queues that the later one is for. */
function covers(earlier: Shape, later: Shape, namespacePrefix: string): boolean {
  if (earlier.source === later.source || coversAll(earlier, namespacePrefix)) return true;
  // It may match any queue.
  if (startsOfAll(namespacePrefix).some((start) => start.startsWith(later.start))) return false;
  const [, inside] = /^queue\/([^/]+)\//.exec(later.start) ?? [];
  const namespace = inside ?? (later.matches === 'one' ? later.start : undefined);
  if (namespace !== undefined && coversNamespace(earlier, namespace)) return true;
  if (later.matches === 'one') return later.start.startsWith(QUEUE) && isMatch(earlier, later.start);
  if (earlier.matches !== 'all') return false;
  // All queues of a namespace begin with its name after `queue/`, and a pattern may be for names of queues or of namespaces.
  const [one, other] = [later.start, later.start.replace(QUEUE, '')];
  return one.startsWith(earlier.start) || other.startsWith(earlier.start) || `${QUEUE}${one}`.startsWith(earlier.start);
}

function startsOfAll(namespacePrefix: string): string[] {
  return [QUEUE + namespacePrefix, namespacePrefix];
}

function coversAll({ start, matches }: Shape, namespacePrefix: string): boolean {
  return matches === 'all' && startsOfAll(namespacePrefix).some((name) => name.startsWith(start));
}

function coversNamespace(shape: Shape, namespace: string): boolean {
  return isMatch(shape, namespace) || (shape.matches === 'all' && `${QUEUE}${namespace}/`.startsWith(shape.start));
}

function isMatch({ source }: Shape, name: string): boolean {
  return readNamePattern(source).test(name);
}

/**
 * Which queues of a namespace a pattern may match, as far as its text shows. `some` also where it is not certain that it
 * matches any.
 */
export function reachIn(source: string, namespace: string): 'none' | 'some' | 'all' {
  const shape = shapeOf(source);
  if (coversNamespace(shape, namespace)) return 'all';
  const start = `${QUEUE}${namespace}/`;
  if (shape.matches === 'one') return shape.start.startsWith(start) ? 'some' : 'none';
  return start.startsWith(shape.start) || shape.start.startsWith(start) ? 'some' : 'none';
}
