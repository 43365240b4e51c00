import type { ContactMedium } from '../contract/contact.ts';

/** A mail to one address. */
export interface Mail {
  readonly medium: 'mail';
  readonly address: string;
  /** 1 to 255 characters, without line breaks. */
  readonly subject: string;
  /** Markdown, 1 to 102,400 characters. */
  readonly content: string;
}

/** A message to a Matrix room, both forms together in less than 60 KiB: an event has 64 KiB at most. */
export interface MatrixMessage {
  readonly medium: 'matrix';
  readonly roomId: string;
  readonly body: string;
  /** HTML of the elements that Matrix recommends. */
  readonly formattedBody: string;
}

/** A message to a Slack channel. */
export interface SlackMessage {
  readonly medium: 'slack';
  readonly channelId: string;
  /** Slack's `mrkdwn`, at most 40,000 characters. */
  readonly text: string;
}

/** A notice in the form of its medium. */
export type NoticeMessage = Mail | MatrixMessage | SlackMessage;

/**
 * What came of a message. A `code` is short, and contains no text from the service.
 * - `sent`: the service accepted it for delivery.
 * - `not-sent`: the service reports success and sent nothing: a duplicate, too many mails to this address, or no Slack.
 * - `limited`: this agent has sent enough messages to this contact lately, and sent nothing.
 * - `refused`: it will never be sent.
 * - `misconfigured`: an operator, or a member of the Matrix room, must act first.
 * - `unavailable`: the service cannot be used now. `mayHaveArrived`: it may have sent the message nevertheless.
 */
export type NoticeOutcome =
  | { readonly is: 'sent' }
  | { readonly is: 'not-sent'; readonly code: string }
  | { readonly is: 'limited'; readonly code: string }
  | { readonly is: 'refused'; readonly code: string }
  | { readonly is: 'misconfigured'; readonly code: string }
  | { readonly is: 'unavailable'; readonly code: string; readonly mayHaveArrived: boolean };

/** The values of `is` of an outcome. */
export const NOTICE_OUTCOMES = [
  'sent',
  'not-sent',
  'limited',
  'refused',
  'misconfigured',
  'unavailable',
] as const satisfies readonly NoticeOutcome['is'][];

/** Called after each attempt to send a message. The medium is undefined where the form of the contact is not known. */
export type OnNoticeAttempt = (medium: ContactMedium | undefined, outcome: NoticeOutcome['is']) => void;

/** Sends messages to owners of namespaces. */
export interface Notifier {
  /**
   * Makes one attempt, in bounded time. Every behaviour of the service is an outcome.
   *
   * @throws `signal.reason` when the signal aborts: the message may have been sent
   */
  send(message: NoticeMessage, signal: AbortSignal): Promise<NoticeOutcome>;
  /** Whether a message to this contact would be `limited` now; absent: never. */
  isLimited?(contact: string): boolean;
}

/** The notifier of an agent without Taskcluster credentials: every notice fails. */
export const noNotifier: Notifier = {
  send: async () => ({ is: 'refused', code: 'NotConfigured' }),
};
