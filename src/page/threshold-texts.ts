import type { QueueRow } from '../operator-api/schemas.ts';
import { countText, sizeText, UNKNOWN } from './page-formats.ts';

/** `delete at 8,000`, or why no threshold is next. */
export function nextThresholdText({
  state,
  next,
  exemptUntil,
}: Pick<QueueRow, 'state' | 'next' | 'exemptUntil'>): string {
  if (exemptUntil !== undefined && (state === 'warned' || next === undefined)) return 'exempt until';
  if (next !== undefined) {
    const action = next.action === 'leave' ? 'left alone' : next.action;
    return `${action} at ${next.unit === 'bytes' ? sizeText(next.at) : countText(next.at)}`;
  }
  switch (state) {
    case 'deleting':
      return 'being deleted';
    case 'exempt':
      return 'never, by a setting';
    case 'unclaimed':
      return 'its namespace is not claimed';
    case 'watched':
    case 'warned':
      return UNKNOWN;
  }
}

/** How near a queue is to its next threshold, from 0 to 1; undefined: unknown, or there is none. */
export function fillOf({ next, messages, bytes }: Pick<QueueRow, 'next' | 'messages' | 'bytes'>): number | undefined {
  if (next === undefined || next.at === 0) return undefined;
  const amount = next.unit === 'bytes' ? bytes : messages;
  return amount === undefined ? undefined : Math.min(1, amount / next.at);
}

/** The tone of a queue's trend. */
export function trendTone({ state, messagesPerMinute }: Pick<QueueRow, 'state' | 'messagesPerMinute'>): string {
  if (state === 'deleting') return 'bad';
  if (state === 'warned') return 'warn';
  return (messagesPerMinute ?? 0) > 0 ? 'busy' : 'idle';
}
