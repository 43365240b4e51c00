/** A mail to one address. */
export interface Mail {
  readonly address: string;
  /** 1 to 255 characters, without line breaks. */
  readonly subject: string;
  /** Markdown, 1 to 102,400 characters. */
  readonly content: string;
}

/**
 * What came of a mail. A `code` is short, and contains no text from the service.
 * - `sent`: the service accepted it for delivery.
 * - `not-sent`: the service reports success and sent nothing: a duplicate, or too many mails to this address.
 * - `refused`: it will never be sent.
 * - `misconfigured`: an operator must act first.
 * - `unavailable`: the service cannot be used now. `mayHaveArrived`: it may have sent the mail nevertheless.
 */
export type NoticeOutcome =
  | { readonly is: 'sent' }
  | { readonly is: 'not-sent'; readonly code: string }
  | { readonly is: 'refused'; readonly code: string }
  | { readonly is: 'misconfigured'; readonly code: string }
  | { readonly is: 'unavailable'; readonly code: string; readonly mayHaveArrived: boolean };

/** Sends mails to owners of namespaces. */
export interface Notifier {
  /**
   * Makes one attempt, in bounded time. Every behaviour of the service is an outcome.
   *
   * @throws `signal.reason` when the signal aborts: the mail may have been sent
   */
  send(mail: Mail, signal: AbortSignal): Promise<NoticeOutcome>;
}

/** The notifier of an agent without Taskcluster credentials: every notice fails. */
export const noNotifier: Notifier = {
  send: async () => ({ is: 'refused', code: 'NotConfigured' }),
};
