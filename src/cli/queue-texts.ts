import type { NextThreshold } from '../queues/forecast-queue.ts';
import { DEFAULT_RULE } from '../queues/queue-limits.ts';
import { type QueueReport, roundedRate } from '../queues/queue-report.ts';
import { bytesText, instantToSecond } from './amounts.ts';
import { formatDuration } from './format-duration.ts';

/** `delete at 8000 messages`. */
export function thresholdText({ action, unit, at }: Pick<NextThreshold, 'action' | 'unit' | 'at'>): string {
  return `${action} at ${amountText(at, unit)}`;
}

/** ` by queues.0`; nothing where no rule of its own holds for a queue. */
export function ruleText(rule: string | undefined): string {
  return rule === undefined || rule === DEFAULT_RULE ? '' : ` by ${rule}`;
}

/** `delete at 8000 messages`, or why there is no next threshold. */
export function nextText({
  state,
  next,
  exemptUntilMs,
  limits,
}: Pick<QueueReport, 'state' | 'next' | 'exemptUntilMs' | 'limits'>): string {
  if (state === 'warned' && exemptUntilMs !== undefined) return `exempt until ${instantToSecond(exemptUntilMs)}`;
  if (next !== undefined) return `${thresholdText(next)}${ruleText(limits.rule)}`;
  switch (state) {
    case 'deleting':
      return 'being deleted';
    case 'exempt':
      return 'exempt';
    case 'unclaimed':
      return 'not claimed';
    case 'warned':
      return limits.onOvergrown === 'leave' ? 'left alone' : 'unknown';
    case 'watched':
      return 'unknown';
  }
}

/** When the next threshold is reached: `now`, an instant with the time until then, or why there is none. */
export function whenText({ next }: Pick<QueueReport, 'next'>, nowMs: number): string {
  return next === undefined ? '' : reachedText(next.reachedMs, nowMs);
}

/** When a threshold is reached; null: not at the present rate; undefined: the rate is unknown. */
export function reachedText(reachedMs: NextThreshold['reachedMs'], nowMs: number): string {
  if (reachedMs === undefined) return 'unknown';
  if (reachedMs === null) return 'not at this rate';
  if (reachedMs <= nowMs) return 'now';
  return `in ${formatDuration(reachedMs - nowMs)}, at ${instantToSecond(reachedMs)}`;
}

/** `+120`, `-5`, `0`; `unknown`. */
export function perMinuteText(perMinute: number | undefined): string {
  if (perMinute === undefined) return 'unknown';
  const amount = roundedRate(perMinute);
  return amount > 0 ? `+${amount}` : String(amount);
}

/** The messages of a queue and, where it is known, their size. */
export function amountsText({ messages, bytes }: Pick<QueueReport, 'messages' | 'bytes'>): string {
  if (messages === undefined) return 'an unknown number of messages';
  return `${messages} messages${bytes === undefined ? '' : ` of ${bytesText(bytes)}`}`;
}

/** An amount of messages or of bytes. */
export function amountText(amount: number, unit: NextThreshold['unit']): string {
  return unit === 'bytes' ? bytesText(amount) : `${amount} messages`;
}
