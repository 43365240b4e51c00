import { isDeepStrictEqual } from 'node:util';
import type { LogCode } from '../../src/util/log-codes.ts';
import { createCondition } from './condition.ts';

/** A line of an agent's log, parsed. */
export interface LogLine {
  readonly code: LogCode;
  readonly level: string;
  readonly msg: string;
  readonly [field: string]: unknown;
}

/**
 * The fields that a line must have, whatever others it has. A RegExp is tried against a text, or the JSON of anything
 * else; an object names fields in turn; every other value must be equal.
 */
export type WantedFields = Readonly<Record<string, unknown>>;

/**
 * The log of agents in a test.
 *
 * @example
 * await log.logged('account_repaired', { namespace, repaired: ['password'] });
 */
export interface TestLog {
  /** Each a JSON object, oldest first. A test may empty it. */
  readonly lines: string[];
  /** For the options of `createLog`. */
  readonly write: (line: string) => void;
  /** Waits for a line of this code with these fields, and returns it; it may be there already. */
  readonly logged: (code: LogCode, fields?: WantedFields) => Promise<LogLine>;
  /** Waits until `find` returns something; rejects after a minute, or with the signal's reason. */
  readonly found: <Found>(
    find: (lines: readonly string[]) => Found | undefined,
    signal?: AbortSignal,
  ) => Promise<Found>;
}

/** How many lines the message of a failure has. */
const LAST_LINES = 20;

/** The lines of this code with these fields, oldest first. */
export function linesWith(lines: readonly string[], code: LogCode, fields: WantedFields = {}): LogLine[] {
  // Parsing is slow where a test logs ten thousand lines, so most lines are left out before.
  return lines
    .filter((line) => line.includes(`"${code}"`))
    .map((line) => JSON.parse(line) as LogLine)
    .filter((line) => line.code === code && fits(line, fields));
}

function fits(value: unknown, wanted: unknown): boolean {
  if (wanted instanceof RegExp) return wanted.test(typeof value === 'string' ? value : (JSON.stringify(value) ?? ''));
  if (typeof wanted !== 'object' || wanted === null || Array.isArray(wanted)) return isDeepStrictEqual(value, wanted);
  if (typeof value !== 'object' || value === null) return false;
  return Object.entries(wanted).every(([name, inner]) => fits((value as Record<string, unknown>)[name], inner));
}

/** Makes an empty log. */
export function createTestLog(): TestLog {
  const lines: string[] = [];
  const condition = createCondition();
  const found: TestLog['found'] = (find, signal) =>
    condition.wait(() => find(lines), {
      failure: () => `No such line was logged. The last ones:\n${lines.slice(-LAST_LINES).join('')}`,
      signal,
    });
  return {
    lines,
    write(line) {
      lines.push(line);
      condition.notify();
    },
    found,
    logged: (code, fields) => found((all) => linesWith(all, code, fields)[0]),
  };
}
