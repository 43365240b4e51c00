/** A mail to one address. */
export interface Mail {
  readonly address: string;
  /** 1 to 255 characters, without line breaks. */
  readonly subject: string;
  /** Markdown, 1 to 102,400 characters. */
  readonly content: string;
}

/**
 * What became of a mail. A `code` is short, and holds no text of the other side.
 * - `sent`: it was taken for delivery.
 * - `not-sent`: the service says that all is well and that it has sent nothing: the same mail again, or too many to this
 *   address.
 * - `refused`: it will never be sent, whoever tries.
 * - `misconfigured`: an operator has something to put right first.
 * - `unavailable`: the service cannot be used now. `mayHaveArrived`: it may have sent the mail all the same.
 */
export type SendOutcome =
  | { readonly is: 'sent' }
  | { readonly is: 'not-sent'; readonly code: string }
  | { readonly is: 'refused'; readonly code: string }
  | { readonly is: 'misconfigured'; readonly code: string }
  | { readonly is: 'unavailable'; readonly code: string; readonly mayHaveArrived: boolean };

/** Sends mails to owners of namespaces. */
export interface Notifier {
  /**
   * Tries once, for a bounded time. Whatever the service does is an outcome.
   *
   * @throws `signal.reason` when the signal aborts: the mail may have been sent
   */
  send(mail: Mail, signal: AbortSignal): Promise<SendOutcome>;
}

/** The notifier of an agent that has nothing to send mail with: everything fails, at once and for good. */
export const noNotifier: Notifier = {
  send: async () => ({ is: 'refused', code: 'NotConfigured' }),
};
