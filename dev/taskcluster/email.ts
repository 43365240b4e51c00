import { fullFormats } from 'ajv-formats/dist/formats.js';
import * as z from 'zod';
import { ApiError } from './api-error.ts';

const text = (longest: number): z.ZodType<string> =>
  // JSON schema counts code points, where a string's length counts UTF-16 units.
  z
    .string()
    .refine((value) => value.length > 0 && Array.from(value).length <= longest, `must have 1 to ${longest} characters`);

/** An address as the service's JSON schema validator checks it: the domain has a dot. */
const mailAddress = z
  .string()
  .refine((value) => fullFormats.email instanceof RegExp && fullFormats.email.test(value), 'must match format "email"');

/** What the notify service accepts; anything else is an InputValidationError. */
export const emailSchema = z.strictObject({
  address: mailAddress,
  subject: text(255),
  content: text(102_400),
  link: z.strictObject({ text: text(40), href: text(1024).and(z.url()) }).optional(),
  replyTo: mailAddress.optional(),
  template: z.enum(['simple', 'fullscreen']).optional(),
});

/** A requested mail. */
export type Email = z.output<typeof emailSchema>;

/** Addresses that are refused with an error, and addresses whose mails are dropped silently. */
export interface MailRules {
  readonly denylisted: readonly string[];
  readonly silent: readonly string[];
}

const REMEMBERED = 1000;

/** The sent mails, oldest first, and the decision whether to send one. */
export class Mailbox {
  readonly sent: Email[] = [];
  readonly #rules: MailRules;
  #recent: string[] = [];

  constructor(rules: MailRules) {
    this.#rules = rules;
  }

  /**
   * Sends a mail, that is, records it.
   *
   * @returns the HTTP status: 200 sent; 204 not sent, because it repeats one of the last 1000 or the address is silent
   * @throws ApiError DenylistedAddress
   */
  send(email: Email): 200 | 204 {
    const { address, subject, content, link, replyTo } = email;
    if (this.#rules.denylisted.includes(address)) {
      throw new ApiError('DenylistedAddress', `Email ${address} is denylisted`);
    }
    const identity = JSON.stringify([address, subject, content, link, replyTo]);
    if (this.#recent.includes(identity) || this.#rules.silent.includes(address)) return 204;
    this.#recent = [identity, ...this.#recent].slice(0, REMEMBERED);
    this.sent.push(email);
    return 200;
  }
}
