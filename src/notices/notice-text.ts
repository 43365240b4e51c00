import type { Config } from '../config/config.ts';
import type { ContactMedium } from '../contract/contact.ts';
import type { Notice } from '../store/notice-records.ts';
import {
  altogether,
  consequence,
  numberText,
  doneText,
  drainedText,
  forecastText,
  limitText,
  oldestText,
  recoveredBelow,
  momentText,
} from './notice-figures.ts';
import { MAX_LISTED } from './gather-notices.ts';
import { listText } from './notice-list.ts';
import { type Block, bold, code, type Inline, line, paragraph } from './rich-text.ts';

/** What a notice states of the installation. All agents have the same. */
export type NoticeConfig = Pick<Config, 'id' | 'surveyIntervalSeconds'>;

/** A notice as text, before it has the form of its medium. */
export interface NoticeText {
  readonly title: string;
  /** The queue that it is about; undefined: several. */
  readonly queue?: string;
  readonly blocks: readonly Block[];
}

/** What the text calls itself, and where it is. */
const WORDS: Readonly<
  Record<ContactMedium, { readonly message: string; readonly why: string; readonly place: string }>
> = {
  mail: { message: 'mail', why: 'You get this mail because', place: 'your address' },
  matrix: { message: 'message', why: 'This message is here because', place: 'this room' },
  slack: { message: 'message', why: 'This message is here because', place: 'this channel' },
};

/** How many queues a message lists: Slack splits longer ones. */
const LISTED: Readonly<Record<ContactMedium, number>> = { mail: MAX_LISTED, matrix: MAX_LISTED, slack: 10 };

/**
 * The text of a notice. It depends on the notice and the configuration only, so that every attempt of every agent sends the
 * same: Taskcluster drops a duplicate.
 */
export function noticeText(notice: Notice, config: NoticeConfig, medium: ContactMedium): NoticeText {
  const { message, why, place } = WORDS[medium];
  const { kind, batch, queue } = notice;
  const text =
    batch === undefined
      ? { ...TEXTS[kind](notice, config, message), queue }
      : listText(kind, batch, {
          message,
          surveyIntervalSeconds: config.surveyIntervalSeconds,
          maxListed: LISTED[medium],
        });
  return {
    ...text,
    blocks: [
      ...text.blocks,
      { is: 'rule' },
      { is: 'paragraph', text: [`${why} `, ...namespacesText(notice, place)] },
      paragraph`Sent by Pulse Agent ${code(config.id)}; notice ${code(notice.id)}.`,
    ],
  };
}

/** How many namespaces are named. */
const MAX_NAMESPACES = 10;

function namespacesText({ namespace, batch }: Notice, place: string): Inline[] {
  const names = batch?.parts.map((part) => part.namespace) ?? [namespace];
  if (names.length === 1) {
    return line`the namespace ${code(namespace)} has ${place} as its contact. The client that claims it can set another contact, or none (${code('"contact": null')}).`;
  }
  const named = names.slice(0, MAX_NAMESPACES).flatMap((name, index) => [index === 0 ? '' : ', ', code(name)]);
  const rest = names.length > MAX_NAMESPACES ? ` and ${numberText(names.length - MAX_NAMESPACES)} more` : '';
  return [
    'the namespaces ',
    ...named,
    `${rest} have ${place} as their contact. The clients that claim them can set another contact, or none (`,
    code('"contact": null'),
    ').',
  ];
}

type WriteText = (notice: Notice, config: NoticeConfig, message: string) => NoticeText;

const TEXTS: Readonly<Record<Notice['kind'], WriteText>> = {
  'queue-warning': (notice, { surveyIntervalSeconds }, message) => ({
    title: 'a queue is growing too large',
    blocks: [
      paragraph`The queue ${code(notice.queue)} held ${bold(`${numberText(notice.messages)} messages`)}${altogether(notice)} at ${momentText(notice.seenMs)}. Owners are warned at ${limitText(notice.warnAtMessages, notice.warnAtBytes)}.`,
      paragraph`If it reaches ${limitText(notice.deleteAtMessages, notice.deleteAtBytes)}, it is ${consequence(notice)}. Queues are checked at least every ${numberText(surveyIntervalSeconds)} seconds.`,
      paragraph`${forecastText(notice)}`,
      {
        is: 'list',
        intro: line`To keep the queue, do one of these:`,
        items: [
          line`check that its consumers run and acknowledge their messages;`,
          line`purge it, if its messages are no longer needed;`,
          line`set a limit (${code('x-max-length')}, ${code('x-message-ttl')}) when you next declare it.`,
        ],
      },
      paragraph`If the queue is not needed, delete it.`,
      paragraph`The next ${message} comes when it holds ${recoveredBelow(notice)} or when it ${doneText(notice)}; there is none in between.`,
    ],
  }),
  'queue-deletion': (notice) => ({
    title: 'a queue was deleted',
    blocks: [
      paragraph`The queue ${code(notice.queue)} held ${bold(`${numberText(notice.messages)} messages`)}${altogether(notice)} at ${momentText(notice.seenMs)}. Queues are deleted at ${limitText(notice.deleteAtMessages, notice.deleteAtBytes)}, so it was ${bold('deleted with all its messages')}, and its consumers were cancelled.`,
      paragraph`You can declare it again. First check that its consumers run and keep up, or set a limit (${code('x-max-length')}, ${code('x-message-ttl')}): the new queue is watched as well.`,
    ],
  }),
  'queue-purge': (notice) => ({
    title: 'a queue was purged',
    blocks: [
      paragraph`The queue ${code(notice.queue)} held ${bold(`${numberText(notice.messages)} ready messages`)}${altogether(notice)} at ${momentText(notice.seenMs)}. It is purged at ${limitText(notice.deleteAtMessages, notice.deleteAtBytes)}, so ${bold('these messages were deleted')}. ${oldestText(notice)} The queue stays, with its bindings, its consumers and the messages that they hold.`,
      paragraph`Check that its consumers run and keep up, or set a limit (${code('x-max-length')}, ${code('x-message-ttl')}) when you next declare it.`,
    ],
  }),
  'queue-left': (notice, _config, message) => ({
    title: 'a queue is far too large',
    blocks: [
      paragraph`The queue ${code(notice.queue)} held ${bold(`${numberText(notice.messages)} messages`)}${altogether(notice)} at ${momentText(notice.seenMs)}. Its limit is ${limitText(notice.deleteAtMessages, notice.deleteAtBytes)}. The operators of this broker have chosen that it is not deleted, but it uses memory and disk that others need.`,
      paragraph`Check that its consumers run and acknowledge their messages, or purge it. The next ${message} comes when it holds ${recoveredBelow(notice)}.`,
    ],
  }),
  'queue-idle': (notice, _config, message) => ({
    title: 'a queue is unused',
    blocks: [
      paragraph`The queue ${code(notice.queue)} has had no consumer since ${momentText(notice.idleSinceMs ?? notice.seenMs)}, and its ${numberText(notice.messages)} messages have not changed. If that stays so, it is ${bold('deleted with all its messages')} after ${momentText(notice.expiresMs ?? notice.seenMs)}.`,
      paragraph`To keep it, let a consumer read it, or publish to it. If it is not needed, delete it. The next ${message} comes when it is deleted.`,
    ],
  }),
  'queue-expiry': (notice) => ({
    title: 'an idle queue was deleted',
    blocks: [
      paragraph`The queue ${code(notice.queue)} had no consumer since ${momentText(notice.idleSinceMs ?? notice.seenMs)}, and its ${numberText(notice.messages)} messages had not changed, so it was ${bold('deleted with all its messages')}.`,
      paragraph`You can declare it again.`,
    ],
  }),
  'queue-recovered': (notice) => ({
    title: 'a queue has recovered',
    blocks: [
      paragraph`The queue ${code(notice.queue)} held ${numberText(notice.messages)} messages${altogether(notice)} at ${momentText(notice.seenMs)}. That is ${recoveredBelow(notice, '')}, so the previous warning no longer applies. You do not need to do anything.`,
      ...optional(drainedText(notice)),
      paragraph`The next warning is sent at ${limitText(notice.warnAtMessages, notice.warnAtBytes)}. At ${limitText(notice.deleteAtMessages, notice.deleteAtBytes)} a queue ${doneText(notice)}.`,
    ],
  }),
};

function optional(text: string | undefined): Block[] {
  return text === undefined ? [] : [paragraph`${text}`];
}
