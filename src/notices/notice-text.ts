import type { Config } from '../config/config.ts';
import type { ContactMedium } from '../contract/contact.ts';
import type { Notice } from '../store/notice-records.ts';
import { type Block, bold, code, type Inline, line, paragraph } from './rich-text.ts';

const MEBIBYTE = 2 ** 20;
const GIBIBYTE = 2 ** 30;

/** What a notice states of the installation. All agents have the same. */
export type NoticeConfig = Pick<Config, 'id' | 'surveyIntervalSeconds'>;

/** A notice as text, before it has the form of its medium. */
export interface NoticeText {
  /** What happened, without the name of the queue. */
  readonly title: string;
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

/**
 * The text of a notice. It depends on the notice and the configuration only, so that every attempt of every agent sends the
 * same: Taskcluster drops a duplicate.
 */
export function noticeText(notice: Notice, config: NoticeConfig, medium: ContactMedium): NoticeText {
  const { message, why, place } = WORDS[medium];
  const { title, blocks } = TEXTS[notice.kind](notice, config, message);
  return {
    title,
    blocks: [
      ...blocks,
      { is: 'rule' },
      paragraph`${why} the namespace ${code(notice.namespace)} has ${place} as its contact. The client that claims it can set another contact, or none (${code('"contact": null')}).`,
      paragraph`Sent by Pulse Agent ${code(config.id)}; notice ${code(notice.id)}.`,
    ],
  };
}

type WriteText = (notice: Notice, config: NoticeConfig, message: string) => NoticeText;

const TEXTS: Readonly<Record<Notice['kind'], WriteText>> = {
  'queue-warning': (notice, { surveyIntervalSeconds }, message) => ({
    title: 'a queue is growing too large',
    blocks: [
      paragraph`The queue ${code(notice.queue)} held ${bold(`${count(notice.messages)} messages`)}${size(notice)} at ${instant(notice.seenMs)}. Owners are warned at ${limit(notice.warnAtMessages, notice.warnAtBytes)}.`,
      paragraph`If it reaches ${limit(notice.deleteAtMessages, notice.deleteAtBytes)}, it is ${CONSEQUENCES[notice.onOvergrown ?? 'delete']}. Queues are checked at least every ${count(surveyIntervalSeconds)} seconds.`,
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
      paragraph`The next ${message} comes when it holds ${recoveredBelow(notice)} or when it ${done(notice)}; there is none in between.`,
    ],
  }),
  'queue-deletion': (notice) => ({
    title: 'a queue was deleted',
    blocks: [
      paragraph`The queue ${code(notice.queue)} held ${bold(`${count(notice.messages)} messages`)}${size(notice)} at ${instant(notice.seenMs)}. Queues are deleted at ${limit(notice.deleteAtMessages, notice.deleteAtBytes)}, so it was ${bold('deleted with all its messages')}, and its consumers were cancelled.`,
      paragraph`You can declare it again. First check that its consumers run and keep up, or set a limit (${code('x-max-length')}, ${code('x-message-ttl')}): the new queue is watched as well.`,
    ],
  }),
  'queue-purge': (notice) => ({
    title: 'a queue was purged',
    blocks: [
      paragraph`The queue ${code(notice.queue)} held ${bold(`${count(notice.messages)} ready messages`)}${size(notice)} at ${instant(notice.seenMs)}. It is purged at ${limit(notice.deleteAtMessages, notice.deleteAtBytes)}, so ${bold('these messages were deleted')}. ${oldest(notice)} The queue stays, with its bindings, its consumers and the messages that they hold.`,
      paragraph`Check that its consumers run and keep up, or set a limit (${code('x-max-length')}, ${code('x-message-ttl')}) when you next declare it.`,
    ],
  }),
  'queue-left': (notice, _config, message) => ({
    title: 'a queue is far too large',
    blocks: [
      paragraph`The queue ${code(notice.queue)} held ${bold(`${count(notice.messages)} messages`)}${size(notice)} at ${instant(notice.seenMs)}. Its limit is ${limit(notice.deleteAtMessages, notice.deleteAtBytes)}. The operators of this broker have chosen that it is not deleted, but it uses memory and disk that others need.`,
      paragraph`Check that its consumers run and acknowledge their messages, or purge it. The next ${message} comes when it holds ${recoveredBelow(notice)}.`,
    ],
  }),
  'queue-recovered': (notice) => ({
    title: 'a queue has recovered',
    blocks: [
      paragraph`The queue ${code(notice.queue)} held ${count(notice.messages)} messages${size(notice)} at ${instant(notice.seenMs)}. That is ${recoveredBelow(notice, '')}, so the previous warning no longer applies. You do not need to do anything.`,
      ...drainedText(notice),
      paragraph`The next warning is sent at ${limit(notice.warnAtMessages, notice.warnAtBytes)}. At ${limit(notice.deleteAtMessages, notice.deleteAtBytes)} a queue ${done(notice)}.`,
    ],
  }),
};

type DeletionAction = NonNullable<Notice['onOvergrown']> | 'delete';

/** What happens at the threshold for deletion. */
const CONSEQUENCES: Readonly<Record<DeletionAction, Inline>> = {
  delete: bold('deleted with all its messages'),
  purge: bold('purged of all its ready messages'),
  leave: 'reported again, and stays',
};
const DONE: Readonly<Record<DeletionAction, string>> = {
  delete: 'is deleted',
  purge: 'is purged',
  leave: 'is reported as far too large',
};

function done({ onOvergrown }: Notice): string {
  return DONE[onOvergrown ?? 'delete'];
}

function oldest({ oldestMs }: Notice): string {
  return oldestMs === undefined
    ? 'RabbitMQ does not say how old they were.'
    : `The oldest of them was published at ${instant(oldestMs)}.`;
}

/** When a queue that was warned of is deleted, if it goes on growing as it did. */
function forecastText(notice: Notice): string {
  const { messages, bytes, deleteAtMessages, deleteAtBytes, forecast } = notice;
  const isReached =
    messages >= deleteAtMessages || (bytes !== null && deleteAtBytes !== null && bytes >= deleteAtBytes);
  if (isReached) return `It has reached that already, and ${done(notice)} within seconds unless it is drained before.`;
  if (forecast === undefined) return `How fast it grew was not known yet, so neither is when it ${done(notice)}.`;
  const { unit, perMinute, reachedMs } = forecast;
  if (reachedMs === null) return 'It hardly grew then: at that rate it is not deleted.';
  const isSlow = unit === 'messages' && perMinute < 1;
  const growth = unit === 'bytes' ? sizeText(perMinute) : `${count(Math.round(perMinute))} messages`;
  const grew = isSlow ? 'less than one message' : `about ${growth}`;
  return `It grew by ${grew} a minute. At that rate it ${done(notice)} at about ${instant(reachedMs)}.`;
}

/** How far a queue that has recovered was drained. */
function drainedText({ messages, peakMessages, peakBytes, bytes }: Notice): Block[] {
  if (peakMessages === undefined || peakMessages <= messages) return [];
  const share = Math.floor((1 - messages / peakMessages) * 100);
  const peakSize = peakBytes === undefined || bytes === null ? '' : ` and ${sizeText(peakBytes)}`;
  return [
    paragraph`It was drained by ${count(share)} percent: since the warning it had held up to ${count(peakMessages)} messages${peakSize}.`,
  ];
}

/** Half of the threshold for warnings, as in the decision about alerts. */
function recoveredBelow({ warnAtMessages, warnAtBytes }: Notice, unit = ' messages'): string {
  const messages = `fewer than ${count(Math.ceil(warnAtMessages / 2))}${unit}`;
  return warnAtBytes === null ? messages : `${messages} and less than ${sizeText(warnAtBytes / 2)}`;
}

function limit(messages: number, bytes: number | null): string {
  return bytes === null ? `${count(messages)} messages` : `${count(messages)} messages or ${sizeText(bytes)}`;
}

function size({ bytes }: Notice): string {
  return bytes === null ? '' : ` of ${sizeText(bytes)} altogether`;
}

function count(number: number): string {
  return number.toLocaleString('en-US');
}

/** With one decimal place, rounded down. */
function sizeText(bytes: number): string {
  const [unit, name] = bytes >= GIBIBYTE ? [GIBIBYTE, 'GiB'] : bytes >= MEBIBYTE ? [MEBIBYTE, 'MiB'] : [1, 'bytes'];
  return `${count(Math.floor((bytes / unit) * 10) / 10)} ${name}`;
}

function instant(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19).replace('T', ' ')} UTC`;
}
