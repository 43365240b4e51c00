import type { Mail } from './notifier.ts';
import type { Notice } from '../store/notice-records.ts';

/** What the notify service takes as a subject; a name's share of it, so that the rest is read, too. */
const LONGEST_SUBJECT = 255;
const LONGEST_NAME_IN_SUBJECT = 120;

/** What a mail says of the installation. The same in all its agents. */
export interface MailSettings {
  /** The configured id. */
  readonly agentId: string;
  /** Between two looks at a queue, at most. */
  readonly surveyIntervalSeconds: number;
}

/**
 * The mail that tells of `notice`. It is made of the notice and of settings, so that every attempt of every agent sends
 * the same text: Taskcluster then drops one that it has sent already.
 *
 * Names of queues are chosen by whoever holds the namespace, and the contact need not be theirs: they can put neither
 * markup nor links nor headers into it.
 *
 * @example
 * await notifier.send(mailOf(notice, { agentId: 'pulse-agent', surveyIntervalSeconds: 60 }), signal);
 */
export function mailOf(notice: Notice, settings: MailSettings): Mail {
  const { title, paragraphs } = TEXTS[notice.kind](notice, settings);
  const foot = [
    `You get this mail because the namespace ${code(notice.namespace)} has your address as its contact. Whoever claims it can name another contact, or none (\`"contact": null\`).`,
    `Sent by Pulse Agent ${code(settings.agentId)}; notice ${code(notice.id)}.`,
  ];
  return {
    address: notice.contact,
    subject: cut(`[Pulse] ${title}: ${cut(visible(notice.queue), LONGEST_NAME_IN_SUBJECT)}`, LONGEST_SUBJECT),
    content: [...paragraphs, '---', ...foot].join('\n\n'),
  };
}

interface Text {
  readonly title: string;
  readonly paragraphs: readonly string[];
}

const TEXTS: Readonly<Record<Notice['kind'], (notice: Notice, settings: MailSettings) => Text>> = {
  'queue-warning': (notice, { surveyIntervalSeconds }) => ({
    title: 'a queue grows too large',
    paragraphs: [
      `The queue ${code(notice.queue)} held **${count(notice.messages)} messages** at ${instant(notice.seenMs)}.`,
      `From ${count(notice.deleteAtMessages)} messages on it is **deleted, with all that is in it**, as soon as that is seen; queues are looked at every ${count(surveyIntervalSeconds)} seconds or more often. Warnings begin at ${count(notice.warnAtMessages)}.`,
      [
        'To keep it:',
        '- see that its consumers run, and that they acknowledge what they get;',
        '- or purge it, if its messages are of no use any more;',
        '- or delete it, if nobody needs it;',
        '- or give it a limit of its own (`x-max-length`, `x-message-ttl`), when it is declared the next time.',
      ].join('\n'),
      `One more mail comes when it holds fewer than ${count(recoveredBelow(notice))}, or when it is deleted, and none in between.`,
    ],
  }),
  'queue-deletion': (notice) => ({
    title: 'a queue was deleted',
    paragraphs: [
      `The queue ${code(notice.queue)} held **${count(notice.messages)} messages** at ${instant(notice.seenMs)}. Queues are deleted from ${count(notice.deleteAtMessages)} on, and so was this one, **with all that was in it**. Its consumers were cancelled.`,
      'It may be declared anew. Before that, see that its consumers run and keep up, or give it a limit (`x-max-length`, `x-message-ttl`): it is watched as before.',
    ],
  }),
  'queue-recovered': (notice) => ({
    title: 'a queue is small again',
    paragraphs: [
      `The queue ${code(notice.queue)} held ${count(notice.messages)} messages at ${instant(notice.seenMs)}: fewer than ${count(recoveredBelow(notice))}, so the warning before this mail is over. There is nothing to do.`,
      `The next warning would come at ${count(notice.warnAtMessages)} messages; from ${count(notice.deleteAtMessages)} on a queue is deleted.`,
    ],
  }),
};

/** Half of the threshold for warnings, so that a queue that stays near the threshold is warned of once. */
function recoveredBelow({ warnAtMessages }: Notice): number {
  return Math.ceil(warnAtMessages / 2);
}

/** A code span, in which markdown has no meaning. */
function code(text: string): string {
  return `\`${visible(text)}\``;
}

/**
 * The text on one line, with all that could end a code span, hide, turn the direction of writing or make a link replaced
 * by its code point. Mail programs make links of `scheme://` and `www.` in whatever they show.
 */
function visible(text: string): string {
  return text
    .replaceAll(/[\p{C}\p{Zl}\p{Zp}`<>&\\]|(?! )\p{Zs}|(?<=:\/)\/|(?<=www)\./giu, codePoint)
    .replaceAll(/^ | $| (?= )/g, codePoint);
}

function codePoint(character: string): string {
  return `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`;
}

/** Whole characters, as the notify service counts them. */
function cut(text: string, longest: number): string {
  const characters = Array.from(text);
  return characters.length <= longest ? text : `${characters.slice(0, longest - 1).join('')}…`;
}

function count(number: number): string {
  return number.toLocaleString('en-US');
}

function instant(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19).replace('T', ' ')} UTC`;
}
