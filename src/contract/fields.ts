import * as z from 'zod';
import { NAMESPACE_PATTERN } from './names.ts';

/** How many namespaces a page of `list-namespaces` holds by default. */
export const DEFAULT_PAGE_SIZE = 100;

/** How many namespaces a page of `list-namespaces` may hold. */
export const MAX_PAGE_SIZE = 1000;

/** The end of the year 9999: later years have more than four digits. */
const LAST_INSTANT_MS = 253_402_300_799_999;

const INSTANT_PATTERN = /^(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})(?:\.(\d{1,9}))?(?:Z|\+00:00)$/;

/**
 * Parses an ISO 8601 instant in UTC, as `Date.prototype.toISOString` and Python's `isoformat` write it, to ms since the
 * epoch. A finer fraction is rounded up to the millisecond, so that nothing expires early.
 *
 * @returns undefined if `text` is not such an instant, has another offset, or does not exist.
 * @example
 * parseInstant('2026-11-24T12:00:00.123456+00:00'); // 1795521600124
 */
export function parseInstant(text: string): number | undefined {
  const match = INSTANT_PATTERN.exec(text);
  if (match?.[1] === undefined) return undefined;
  const wholeMs = Date.parse(`${match[1]}.000Z`);
  // Date.parse turns February 30 into March 2, so the result is compared with the input.
  if (Number.isNaN(wholeMs) || !new Date(wholeMs).toISOString().startsWith(match[1])) return undefined;
  const fraction = (match[2] ?? '').padEnd(9, '0');
  const ms = wholeMs + Math.ceil(Number(fraction) / 1_000_000);
  return ms > LAST_INSTANT_MS ? undefined : ms;
}

/** An instant as text, as it is on the wire. */
export function formatInstant(ms: number): string {
  return new Date(ms).toISOString();
}

const EXAMPLE_INSTANT = '2026-11-24T12:00:00.000Z';

/** A field of a request with an instant, parsed to ms since the epoch. */
export function instantField(
  description: string,
  example = EXAMPLE_INSTANT,
): z.ZodPipe<z.ZodString, z.ZodTransform<number, string>> {
  const rule = 'must be an instant in UTC such as 2026-11-24T12:00:00.000Z';
  return z
    .string({ error: rule })
    .meta({ description, format: 'date-time', examples: [example] })
    .transform((text, context) => {
      const ms = parseInstant(text);
      if (ms === undefined) {
        context.addIssue({ code: 'custom', message: rule });
        return z.NEVER;
      }
      return ms;
    });
}

/** A field of a result or an event with an instant, as text. */
export function instantText(description: string, example = EXAMPLE_INSTANT): z.ZodString {
  return z
    .string()
    .refine((text) => parseInstant(text) !== undefined, { error: 'must be an instant in UTC' })
    .meta({ description, format: 'date-time', examples: [example] });
}

const NAMESPACE_RULE = 'must be 1 to 64 of the characters A-Z, a-z, 0-9, _ and -';

/** The name of a namespace. The agent checks the prefix, which is one of its settings. */
export const namespaceField = z
  .string({ error: NAMESPACE_RULE })
  .regex(NAMESPACE_PATTERN, { error: NAMESPACE_RULE })
  .meta({
    description: "The namespace. It must also begin with the agent's namespace prefix.",
    examples: ['taskcluster-builds'],
  });

const LIMIT_RULE = `must be a whole number from 1 to ${MAX_PAGE_SIZE}`;

/** The size of a page. */
export const limitField = z
  .int({ error: LIMIT_RULE })
  .min(1, { error: LIMIT_RULE })
  .max(MAX_PAGE_SIZE, { error: LIMIT_RULE })
  .default(DEFAULT_PAGE_SIZE)
  .meta({ description: 'The maximum number of namespaces in the page.', examples: [DEFAULT_PAGE_SIZE] });

const TOKEN_RULE = 'must be the continuationToken of the previous page';

/** Where the next page begins. */
export const continuationTokenField = z
  .string({ error: TOKEN_RULE })
  .regex(/^[\x21-\x7e]{1,256}$/, { error: TOKEN_RULE })
  .meta({
    description: 'The continuationToken of the previous page, an opaque value. A page without one is the last.',
    examples: ['dGFza2NsdXN0ZXItYnVpbGRz'],
  });
