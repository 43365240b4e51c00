import * as z from 'zod';

/** How the owner of a namespace is reached. */
export const CONTACT_MEDIA = ['mail', 'matrix', 'slack'] as const;

/** A medium of {@link CONTACT_MEDIA}. */
export type ContactMedium = (typeof CONTACT_MEDIA)[number];

/** Where notices go: a mail address, the id of a Matrix room, or the id of a Slack channel. */
export interface ContactAddress {
  readonly medium: ContactMedium;
  readonly address: string;
}

/** The longest address that SMTP can carry (RFC 5321, 4.5.3.1.3, without the angle brackets). */
const MAX_MAIL_LENGTH = 254;

/** A room id has at most 255 bytes. */
const MAX_MATRIX_LENGTH = 'matrix:'.length + 255;

// Atoms of RFC 5322 and labels of RFC 1123 only: without quotes, comments, display names, spaces and control characters, no
// part of an address can become a header or a second recipient. At least two labels, because Taskcluster Notify refuses an
// address such as root@localhost.
const MAIL_PATTERN =
  /^[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*@[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)+$/;

// An opaque id, and before version 12 of rooms the server that made it: a host name or an IPv6 address, perhaps with a port.
const MATRIX_PATTERN =
  /^matrix:![A-Za-z0-9._~=/+-]+(?::(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?)?$/;

const SLACK_PATTERN = /^slack:C[A-Z0-9]{2,30}$/;

const MATRIX_RULE =
  'must name a Matrix room by its id, such as matrix:!abcdefg:example.org: Taskcluster Notify serves no aliases, users or servers';
const SLACK_RULE =
  'must name a Slack channel by its id, such as slack:C0123456789: Taskcluster Notify serves no names of channels and no users';
const CONTACT_RULE = `must be a plain mail address of at most ${MAX_MAIL_LENGTH} characters with a dot in its domain, such as team@example.com, a Matrix room such as matrix:!abcdefg:example.org, a Slack channel such as slack:C0123456789, or null`;

/** The rule that a contact violates. */
function contactRule(input: unknown): string {
  if (typeof input !== 'string') return CONTACT_RULE;
  if (/^matrix:/i.test(input)) return MATRIX_RULE;
  return /^slack:/i.test(input) ? SLACK_RULE : CONTACT_RULE;
}

/** Where notices about overgrown queues go. */
export const contactField = z
  .union(
    [
      z
        .string()
        .max(MAX_MAIL_LENGTH)
        .regex(MAIL_PATTERN)
        // The longest local part that SMTP can carry (RFC 5321, 4.5.3.1.1).
        .refine((address) => address.indexOf('@') <= 64),
      z.string().max(MAX_MATRIX_LENGTH).regex(MATRIX_PATTERN),
      z.string().regex(SLACK_PATTERN),
    ],
    { error: ({ input }) => contactRule(input) },
  )
  .nullable()
  .meta({
    description:
      'Where notices about overgrown queues go: an email address, `matrix:` and the id of a Matrix room, or `slack:` and the id of a Slack channel. It is never returned. Omitted: the stored one stays; null clears it.',
    examples: ['team@example.com', 'matrix:!abcdefg:example.org', 'slack:C0123456789'],
  });

/**
 * Where the notices for a stored contact go; undefined where this version does not know its form, because a later one has
 * stored it.
 *
 * @example
 * parseContact('slack:C0123456789'); // { medium: 'slack', address: 'C0123456789' }
 */
export function parseContact(contact: string): ContactAddress | undefined {
  if (MAIL_PATTERN.test(contact)) return { medium: 'mail', address: contact };
  if (MATRIX_PATTERN.test(contact)) return { medium: 'matrix', address: contact.slice('matrix:'.length) };
  if (SLACK_PATTERN.test(contact)) return { medium: 'slack', address: contact.slice('slack:'.length) };
  return undefined;
}
