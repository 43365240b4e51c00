import * as z from 'zod';
import { NAMESPACE_PATTERN } from './names.ts';

/** The longest address that SMTP can carry (RFC 5321, 4.5.3.1.3, less the angle brackets). */
const MAX_CONTACT_LENGTH = 254;

/** How many namespaces a page of `list-namespaces` holds when the request does not say. */
export const DEFAULT_PAGE_SIZE = 100;

/** How many namespaces a page of `list-namespaces` may hold. */
export const MAX_PAGE_SIZE = 1000;

/** The end of the year 9999: later ones are not written with four digits. */
const LAST_INSTANT_MS = 253_402_300_799_999;

const INSTANT_PATTERN = /^(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})(?:\.(\d{1,9}))?(?:Z|\+00:00)$/;

// The atoms of RFC 5322 and the labels of RFC 1123: no quotes, comments, display names, spaces or control characters,
// so that nothing in an address can become a header or a second recipient.
const CONTACT_PATTERN =
  /^[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*@[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$/;

/**
 * Reads an ISO 8601 instant in UTC, as `Date.prototype.toISOString` and Python's `isoformat` write it, into ms since
 * the epoch. A fraction finer than a millisecond is rounded up, so that what is asked for never ends early.
 *
 * @returns undefined when `text` is no such instant: another offset, or a moment that does not exist.
 * @example
 * parseInstant('2026-11-24T12:00:00.123456+00:00'); // 1795521600124
 */
export function parseInstant(text: string): number | undefined {
  const match = INSTANT_PATTERN.exec(text);
  if (match?.[1] === undefined) return undefined;
  const wholeMs = Date.parse(`${match[1]}.000Z`);
  // Date.parse turns February 30 into March 2: only a date that comes back as written exists.
  if (Number.isNaN(wholeMs) || !new Date(wholeMs).toISOString().startsWith(match[1])) return undefined;
  const fraction = (match[2] ?? '').padEnd(9, '0');
  const ms = wholeMs + Math.ceil(Number(fraction) / 1_000_000);
  return ms > LAST_INSTANT_MS ? undefined : ms;
}

/** An instant as the wire has it. */
export function formatInstant(ms: number): string {
  return new Date(ms).toISOString();
}

const EXAMPLE_INSTANT = '2026-11-24T12:00:00.000Z';

/** A field with an instant; parsing gives ms since the epoch. */
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

/** An instant in a result, as text. */
export function instantText(description: string, example = EXAMPLE_INSTANT): z.ZodString {
  return z
    .string()
    .refine((text) => parseInstant(text) !== undefined, { error: 'must be an instant in UTC' })
    .meta({ description, format: 'date-time', examples: [example] });
}

const NAMESPACE_RULE = 'must be 1 to 64 of the characters A-Z, a-z, 0-9, _ and -';

/** A namespace's name. The prefix is an agent's setting and is checked by the agent. */
export const namespaceField = z
  .string({ error: NAMESPACE_RULE })
  .regex(NAMESPACE_PATTERN, { error: NAMESPACE_RULE })
  .meta({
    description: "The namespace. It must also start with the agent's namespace prefix.",
    examples: ['taskcluster-builds'],
  });

const CONTACT_RULE = `must be a plain mail address of at most ${MAX_CONTACT_LENGTH} characters, such as team@example.com, or null`;

/** Who is told about overgrown queues. */
export const contactField = z
  .string({ error: CONTACT_RULE })
  .max(MAX_CONTACT_LENGTH, { error: CONTACT_RULE })
  .regex(CONTACT_PATTERN, { error: CONTACT_RULE })
  // The longest local part that SMTP can carry (RFC 5321, 4.5.3.1.1).
  .refine((address) => address.indexOf('@') <= 64, { error: CONTACT_RULE })
  .nullable()
  .meta({
    description:
      'The mail address that is told about overgrown queues, never given out. Omitted, the stored one stays; null clears it.',
    examples: ['team@example.com'],
  });

const LIMIT_RULE = `must be a whole number from 1 to ${MAX_PAGE_SIZE}`;

/** The size of a page. */
export const limitField = z
  .int({ error: LIMIT_RULE })
  .min(1, { error: LIMIT_RULE })
  .max(MAX_PAGE_SIZE, { error: LIMIT_RULE })
  .default(DEFAULT_PAGE_SIZE)
  .meta({ description: 'How many namespaces at most.', examples: [DEFAULT_PAGE_SIZE] });

const TOKEN_RULE = 'must be the continuationToken of the previous page';

/** Where the next page begins. */
export const continuationTokenField = z
  .string({ error: TOKEN_RULE })
  .regex(/^[\x21-\x7e]{1,256}$/, { error: TOKEN_RULE })
  .meta({
    description:
      'From the previous page; its content is no concern of the client. Without one, there are no more pages.',
    examples: ['dGFza2NsdXN0ZXItYnVpbGRz'],
  });
