import type { NoticeItem } from '../store/notice-records.ts';
import { bold, type Inline } from './rich-text.ts';

const MEBIBYTE = 2 ** 20;
const GIBIBYTE = 2 ** 30;

type DeletionAction = NonNullable<NoticeItem['onOvergrown']> | 'delete';

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

/** What happens at the threshold for deletion, as a participle. */
export function consequence({ onOvergrown }: Pick<NoticeItem, 'onOvergrown'>): Inline {
  return CONSEQUENCES[onOvergrown ?? 'delete'];
}

/** The same as a verb. */
export function doneText({ onOvergrown }: Pick<NoticeItem, 'onOvergrown'>): string {
  return DONE[onOvergrown ?? 'delete'];
}

/** How old the messages of a purged queue were. */
export function oldestText({ oldestMs }: NoticeItem): string {
  return oldestMs === undefined
    ? 'RabbitMQ does not say how old they were.'
    : `The oldest of them was published at ${momentText(oldestMs)}.`;
}

/** When a queue that was warned of is deleted, if it goes on growing as it did. */
export function forecastText(notice: NoticeItem): string {
  const { messages, bytes, deleteAtMessages, deleteAtBytes, forecast } = notice;
  const isReached =
    messages >= deleteAtMessages || (bytes !== null && deleteAtBytes !== null && bytes >= deleteAtBytes);
  if (isReached)
    return `It has reached that already, and ${doneText(notice)} within seconds unless it is drained before.`;
  if (forecast === undefined) return `How fast it grew was not known yet, so neither is when it ${doneText(notice)}.`;
  const { unit, perMinute, reachedMs } = forecast;
  if (reachedMs === null) {
    return `It ${perMinute < 0 ? 'was being drained' : 'hardly grew'} then: at that rate it does not reach that.`;
  }
  const isSlow = unit === 'messages' && perMinute < 1;
  const count = Math.round(perMinute);
  const growth = unit === 'bytes' ? sizeText(perMinute) : `${numberText(count)} message${count === 1 ? '' : 's'}`;
  const grew = isSlow ? 'less than one message' : `about ${growth}`;
  return `It grew by ${grew} a minute. At that rate it ${doneText(notice)} at about ${momentText(reachedMs)}.`;
}

/** How far a queue that has recovered was drained; undefined: not known. */
export function drainedText({ messages, peakMessages, peakBytes, bytes }: NoticeItem): string | undefined {
  if (peakMessages === undefined || peakMessages <= messages) return undefined;
  const share = Math.floor((1 - messages / peakMessages) * 100);
  const peakSize = peakBytes === undefined || bytes === null ? '' : ` and ${sizeText(peakBytes)}`;
  return `It was drained by ${numberText(share)} percent: since the warning it had held up to ${numberText(peakMessages)} messages${peakSize}.`;
}

/** Half of the threshold for warnings, as in the decision about alerts. */
export function recoveredBelow({ warnAtMessages, warnAtBytes }: NoticeItem, unit = ' messages'): string {
  const messages = `fewer than ${numberText(Math.ceil(warnAtMessages / 2))}${unit}`;
  return warnAtBytes === null ? messages : `${messages} and less than ${sizeText(warnAtBytes / 2)}`;
}

export function limitText(messages: number, bytes: number | null): string {
  return bytes === null ? `${numberText(messages)} messages` : `${numberText(messages)} messages or ${sizeText(bytes)}`;
}

export function altogether({ bytes }: NoticeItem): string {
  return bytes === null ? '' : ` of ${sizeText(bytes)} altogether`;
}

export function numberText(number: number): string {
  return number.toLocaleString('en-US');
}

/** With one decimal place, rounded down. */
function sizeText(bytes: number): string {
  const [unit, name] = bytes >= GIBIBYTE ? [GIBIBYTE, 'GiB'] : bytes >= MEBIBYTE ? [MEBIBYTE, 'MiB'] : [1, 'bytes'];
  return `${numberText(Math.floor((bytes / unit) * 10) / 10)} ${name}`;
}

export function momentText(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19).replace('T', ' ')} UTC`;
}
