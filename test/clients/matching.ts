import { inspect, isDeepStrictEqual } from 'node:util';

/**
 * Why a value does not match what is expected; undefined if it does. Of an object only the fields that are expected count.
 * An object with exactly one of these fields is a rule:
 *
 * - `$matches`: a text that this regular expression finds
 * - `$differs`: any value but this one
 * - `$about`: `[number, tolerance]`
 * - `$includes`: a list that has an element for each of these
 * - `$present`: whether there is a value
 */
export function mismatch(value: unknown, expected: unknown, path = 'it'): string | undefined {
  const says = (what: string): string => `${path} is ${inspect(value, { depth: 5 })}, and should ${what}`;
  if (!isObject(expected)) {
    return isDeepStrictEqual(value, expected) ? undefined : says(`be ${inspect(expected, { depth: 5 })}`);
  }
  const [[rule, operand] = ['', undefined], ...others] = Object.entries(expected);
  if (others.length === 0 && rule.startsWith('$')) {
    return obeys(value, rule, operand) ? undefined : says(`obey ${inspect(expected, { depth: 5 })}`);
  }
  if (!isObject(value)) return says('be an object');
  for (const [name, wanted] of Object.entries(expected)) {
    const fault = mismatch(value[name], wanted, `${path}.${name}`);
    if (fault !== undefined) return fault;
  }
  return undefined;
}

function obeys(value: unknown, rule: string, operand: unknown): boolean {
  switch (rule) {
    case '$matches':
      return typeof value === 'string' && new RegExp(String(operand)).test(value);
    case '$differs':
      return !isDeepStrictEqual(value, operand);
    case '$about': {
      const [middle = 0, tolerance = 0] = operand as number[];
      return typeof value === 'number' && Math.abs(value - middle) <= tolerance;
    }
    case '$includes':
      return (operand as unknown[]).every(
        (wanted) => Array.isArray(value) && value.some((each) => mismatch(each, wanted) === undefined),
      );
    case '$present':
      return (value !== undefined && value !== null) === operand;
    default:
      throw new Error(`There is no rule ${rule}.`);
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
