import type { NoticeKind } from '../contract/notice-kinds.ts';
import type { NoticeBatch, NoticeItem } from '../store/notice-records.ts';
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
import { type Block, bold, code, type Inline, line, paragraph } from './rich-text.ts';

interface ListOptions {
  /** What the text calls itself. */
  readonly message: string;
  readonly surveyIntervalSeconds: number;
  readonly maxListed: number;
}

/** The text about several queues. */
export function listText(
  kind: NoticeKind,
  { queues, listed }: NoticeBatch,
  options: ListOptions,
): { readonly title: string; readonly blocks: readonly Block[] } {
  const { title, before, intro, item, after } = LISTS[kind];
  const shown = listed.slice(0, options.maxListed);
  return {
    title: `${numberText(queues)} ${title}`,
    blocks: [
      ...before(numberText(queues), options, listed),
      { is: 'list', intro: line`${intro}`, items: shown.map(item) },
      ...(queues > shown.length
        ? [
            paragraph`And ${bold(`${numberText(queues - shown.length)} more`)}. ${code('pulse-agent status <namespace>')} shows the queues of a namespace.`,
          ]
        : []),
      ...after(options),
    ],
  };
}

/** The most characters of a name: with all of any name the message could be too long for Matrix. */
const MAX_NAME = 160;

interface ListText {
  readonly title: string;
  readonly before: (queues: string, options: ListOptions, listed: NoticeBatch['listed']) => Block[];
  readonly intro: string;
  readonly item: (item: NoticeItem) => Inline[];
  readonly after: (options: ListOptions) => Block[];
}

const LISTS: Readonly<Record<NoticeKind, ListText>> = {
  'queue-warning': {
    title: 'queues are growing too large',
    before: (queues, { surveyIntervalSeconds }, [first = {}]) => [
      paragraph`${queues} queues hold more than their thresholds for warnings. A queue that reaches its threshold for deletion is ${consequence(first)}. Queues are checked at least every ${numberText(surveyIntervalSeconds)} seconds.`,
    ],
    intro: 'Those that reach it first:',
    item: (item) =>
      line`${code(item.queue, MAX_NAME)} held ${bold(`${numberText(item.messages)} messages`)}${altogether(item)} at ${momentText(item.seenMs)}, and ${doneText(item)} at ${limitText(item.deleteAtMessages, item.deleteAtBytes)}. ${forecastText(item)}`,
    after: ({ message }) => [
      {
        is: 'list',
        intro: line`To keep a queue, do one of these:`,
        items: [
          line`check that its consumers run and acknowledge their messages;`,
          line`purge it, if its messages are no longer needed;`,
          line`set a limit (${code('x-max-length')}, ${code('x-message-ttl')}) when you next declare it.`,
        ],
      },
      paragraph`If a queue is not needed, delete it.`,
      paragraph`The next ${message} about one of them comes when it holds less than half of its threshold for warnings or when it reaches its threshold for deletion; there is none in between.`,
    ],
  },
  'queue-deletion': {
    title: 'queues were deleted',
    before: (queues) => [
      paragraph`${queues} queues had reached their thresholds for deletion, so they were ${bold('deleted with all their messages')}, and their consumers were cancelled.`,
    ],
    intro: 'The largest of them:',
    item: (item) =>
      line`${code(item.queue, MAX_NAME)} held ${bold(`${numberText(item.messages)} messages`)}${altogether(item)} at ${momentText(item.seenMs)}. It was deleted at ${limitText(item.deleteAtMessages, item.deleteAtBytes)}.`,
    after: () => [
      paragraph`You can declare them again. First check that their consumers run and keep up, or set a limit (${code('x-max-length')}, ${code('x-message-ttl')}): the new queues are watched as well.`,
    ],
  },
  'queue-purge': {
    title: 'queues were purged',
    before: (queues) => [
      paragraph`${queues} queues had reached their thresholds for deletion, so ${bold('their ready messages were deleted')}. The queues stay, with their bindings, their consumers and the messages that these hold.`,
    ],
    intro: 'The largest of them:',
    item: (item) =>
      line`${code(item.queue, MAX_NAME)} held ${bold(`${numberText(item.messages)} ready messages`)}${altogether(item)} at ${momentText(item.seenMs)}. It is purged at ${limitText(item.deleteAtMessages, item.deleteAtBytes)}. ${oldestText(item)}`,
    after: () => [
      paragraph`Check that their consumers run and keep up, or set a limit (${code('x-max-length')}, ${code('x-message-ttl')}) when you next declare them.`,
    ],
  },
  'queue-left': {
    title: 'queues are far too large',
    before: (queues) => [
      paragraph`${queues} queues have passed their limits. The operators of this broker have chosen that they are not deleted, but they use memory and disk that others need.`,
    ],
    intro: 'The largest of them:',
    item: (item) =>
      line`${code(item.queue, MAX_NAME)} held ${bold(`${numberText(item.messages)} messages`)}${altogether(item)} at ${momentText(item.seenMs)}. Its limit is ${limitText(item.deleteAtMessages, item.deleteAtBytes)}.`,
    after: ({ message }) => [
      paragraph`Check that their consumers run and acknowledge their messages, or purge them. The next ${message} about one of them comes when it holds less than half of its threshold for warnings.`,
    ],
  },
  'queue-idle': {
    title: 'queues are not used',
    before: (queues) => [
      paragraph`${queues} queues have no consumer, and their messages have not changed. Those of which that stays true are ${bold('deleted with all their messages')}.`,
    ],
    intro: 'The largest of them:',
    item: (item) =>
      line`${code(item.queue, MAX_NAME)} holds ${numberText(item.messages)} messages, is idle since ${momentText(item.idleSinceMs ?? item.seenMs)}, and is deleted after ${momentText(item.expiresMs ?? item.seenMs)}.`,
    after: () => [paragraph`To keep one, let a consumer read it, or publish to it. If one is not needed, delete it.`],
  },
  'queue-expiry': {
    title: 'idle queues were deleted',
    before: (queues) => [
      paragraph`${queues} queues had no consumer, and their messages had not changed, so they were ${bold('deleted with all their messages')}.`,
    ],
    intro: 'The largest of them:',
    item: (item) =>
      line`${code(item.queue, MAX_NAME)} held ${numberText(item.messages)} messages, and was idle since ${momentText(item.idleSinceMs ?? item.seenMs)}.`,
    after: () => [paragraph`You can declare them again.`],
  },
  'queue-recovered': {
    title: 'queues have recovered',
    before: (queues) => [
      paragraph`${queues} queues hold less than half of their thresholds for warnings, so the previous warnings no longer apply. You do not need to do anything.`,
    ],
    intro: 'The largest of them:',
    item: (item) =>
      line`${code(item.queue, MAX_NAME)} held ${numberText(item.messages)} messages${altogether(item)} at ${momentText(item.seenMs)}, ${recoveredBelow(item)}. ${drainedText(item) ?? ''}`,
    after: () => [],
  },
};
