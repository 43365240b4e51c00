import { type ContactMedium, parseContact } from '../contract/contact.ts';
import type { Notice } from '../store/notice-records.ts';
import { type NoticeConfig, noticeText } from './notice-text.ts';
import type { NoticeMessage } from './notifier.ts';
import { type Block, bold, code, cut, line, renderBlocks, visible } from './rich-text.ts';

/** The longest subject that the notify service accepts, and the share of the queue's name in it. */
const MAX_SUBJECT = 255;
const MAX_NAME_IN_SUBJECT = 120;

/**
 * The message of a notice, in the form of the medium of its contact; undefined where the form of the contact is not known.
 *
 * The holder of a namespace chooses the names of its queues, and other people may read them. A name can put neither markup nor
 * links nor headers into a message, and notifies no one.
 *
 * @example
 * const message = noticeMessage(notice, config);
 * if (message !== undefined) await notifier.send(message, signal);
 */
export function noticeMessage(notice: Notice, config: NoticeConfig): NoticeMessage | undefined {
  const contact = parseContact(notice.contact);
  return contact && MESSAGES[contact.medium](contact.address, notice, config);
}

const MESSAGES: Readonly<
  Record<ContactMedium, (address: string, notice: Notice, config: NoticeConfig) => NoticeMessage>
> = {
  mail: (address, notice, config) => {
    const { title, queue, blocks } = noticeText(notice, config, 'mail');
    const name = queue === undefined ? '' : `: ${cut(visible(queue), MAX_NAME_IN_SUBJECT)}`;
    const subject = cut(`[Pulse] ${title}${name}`, MAX_SUBJECT);
    return { medium: 'mail', address, subject, content: renderBlocks(blocks, 'markdown') };
  },
  matrix: (roomId, notice, config) => {
    const blocks = withHeading(notice, config, 'matrix');
    return {
      medium: 'matrix',
      roomId,
      body: renderBlocks(blocks, 'plain'),
      formattedBody: renderBlocks(blocks, 'html'),
    };
  },
  slack: (channelId, notice, config) => ({
    medium: 'slack',
    channelId,
    text: renderBlocks(withHeading(notice, config, 'slack'), 'slack'),
  }),
};

/** These media have no subject. */
function withHeading(notice: Notice, config: NoticeConfig, medium: ContactMedium): Block[] {
  const { title, queue, blocks } = noticeText(notice, config, medium);
  const text =
    queue === undefined ? line`${bold(`[Pulse] ${title}`)}` : line`${bold(`[Pulse] ${title}:`)} ${code(queue)}`;
  return [{ is: 'paragraph', text }, ...blocks];
}
