import type { Config } from '../config/config.ts';
import type { Notice } from '../store/notice-records.ts';
import type { Mail } from './notifier.ts';

/** The longest subject that the notify service accepts, and the share of the queue's name in it. */
const MAX_SUBJECT = 255;
const MAX_NAME_IN_SUBJECT = 120;

const MEBIBYTE = 2 ** 20;
const GIBIBYTE = 2 ** 30;

/** What a mail states of the installation. All agents have the same. */
type MailConfig = Pick<Config, 'id' | 'surveyIntervalSeconds'>;

/**
 * The mail of a notice. It depends on the notice and the configuration only, so that every attempt of every agent sends
 * the same text: Taskcluster drops a duplicate.
 *
 * The holder of a namespace chooses the names of its queues, and the contact may be another person. A name can put neither
 * markup nor links nor headers into the mail.
 *
 * @example
 * await notifier.send(mailOf(notice, config), signal);
 */
export function mailOf(notice: Notice, config: MailConfig): Mail {
  const { title, paragraphs } = TEXTS[notice.kind](notice, config);
  const foot = [
    `You get this mail because the namespace ${code(notice.namespace)} has your address as its contact. The client that claims it can set another contact, or none (\`"contact": null\`).`,
    `Sent by Pulse Agent ${code(config.id)}; notice ${code(notice.id)}.`,
  ];
  return {
    address: notice.contact,
    subject: cut(`[Pulse] ${title}: ${cut(visible(notice.queue), MAX_NAME_IN_SUBJECT)}`, MAX_SUBJECT),
    content: [...paragraphs, '---', ...foot].join('\n\n'),
  };
}

interface Text {
  readonly title: string;
  readonly paragraphs: readonly string[];
}

const TEXTS: Readonly<Record<Notice['kind'], (notice: Notice, config: MailConfig) => Text>> = {
  'queue-warning': (notice, { surveyIntervalSeconds }) => ({
    title: 'a queue is growing too large',
    paragraphs: [
      `The queue ${code(notice.queue)} held **${count(notice.messages)} messages**${size(notice)} at ${instant(notice.seenMs)}. Owners are warned at ${limit(notice.warnAtMessages, notice.warnAtBytes)}.`,
      `If it reaches ${limit(notice.deleteAtMessages, notice.deleteAtBytes)}, it is **deleted with all its messages**. Queues are checked at least every ${count(surveyIntervalSeconds)} seconds.`,
      [
        'To keep the queue, do one of these:',
        '- check that its consumers run and acknowledge their messages;',
        '- purge it, if its messages are no longer needed;',
        '- set a limit (`x-max-length`, `x-message-ttl`) when you next declare it.',
        '',
        'If the queue is not needed, delete it.',
      ].join('\n'),
      `The next mail comes when it holds ${recoveredBelow(notice)} or when it is deleted; there is none in between.`,
    ],
  }),
  'queue-deletion': (notice) => ({
    title: 'a queue was deleted',
    paragraphs: [
      `The queue ${code(notice.queue)} held **${count(notice.messages)} messages**${size(notice)} at ${instant(notice.seenMs)}. Queues are deleted at ${limit(notice.deleteAtMessages, notice.deleteAtBytes)}, so it was **deleted with all its messages**, and its consumers were cancelled.`,
      'You can declare it again. First check that its consumers run and keep up, or set a limit (`x-max-length`, `x-message-ttl`): the new queue is watched as well.',
    ],
  }),
  'queue-recovered': (notice) => ({
    title: 'a queue has recovered',
    paragraphs: [
      `The queue ${code(notice.queue)} held ${count(notice.messages)} messages${size(notice)} at ${instant(notice.seenMs)}. That is ${recoveredBelow(notice, '')}, so the previous warning no longer applies. You do not need to do anything.`,
      `The next warning is sent at ${limit(notice.warnAtMessages, notice.warnAtBytes)}. At ${limit(notice.deleteAtMessages, notice.deleteAtBytes)} a queue is deleted.`,
    ],
  }),
};

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

/** A code span, in which markdown has no meaning. */
function code(text: string): string {
  return `\`${visible(text)}\``;
}

/**
 * The text on one line. Each character that could end a code span, be invisible, change the direction of writing or make a
 * link is replaced by its code point: mail programs make links of `scheme://` and `www.` in any text.
 */
function visible(text: string): string {
  return text
    .replaceAll(/[\p{C}\p{Zl}\p{Zp}`<>&\\]|(?! )\p{Zs}|(?<=:\/)\/|(?<=www)\./giu, codePoint)
    .replaceAll(/^ | $| (?= )/g, codePoint);
}

function codePoint(character: string): string {
  return `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`;
}

/** Counts whole characters, as the notify service does. */
function cut(text: string, longest: number): string {
  const characters = Array.from(text);
  return characters.length <= longest ? text : `${characters.slice(0, longest - 1).join('')}…`;
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
