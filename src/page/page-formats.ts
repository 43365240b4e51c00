/** Texts of amounts and times on the page. What is unknown is shown as {@link UNKNOWN}, never as 0. */

/** Shown where an amount or a time is not known. */
export const UNKNOWN = '–';

const COUNT = new Intl.NumberFormat('en-US');
const BYTE_UNITS = ['KiB', 'MiB', 'GiB', 'TiB'];
const TIME_UNITS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['min', 60_000],
  ['s', 1000],
] as const;

/** `4,200`. */
export function countText(count: number | null | undefined): string {
  return count === null || count === undefined ? UNKNOWN : COUNT.format(count);
}

/** `1 queue`, `4,200 queues`. */
export function countedText(count: number, one: string, many = `${one}s`): string {
  return `${countText(count)} ${count === 1 ? one : many}`;
}

/** `940`, `4.2k`, `1.3M`: for axes and tiles, where there is little room. */
export function shortCount(count: number): string {
  if (count < 1000) return String(Math.round(count));
  const [divisor, unit] = count < 999_500 ? [1000, 'k'] : [1_000_000, 'M'];
  const amount = count / divisor;
  return `${amount < 10 ? Number(amount.toFixed(1)) : Math.round(amount)}${unit}`;
}

/** `512 bytes`, `1.5 MiB`. */
export function sizeText(bytes: number | null | undefined): string {
  if (bytes === null || bytes === undefined) return UNKNOWN;
  let amount = bytes;
  let unit = 'bytes';
  for (const next of BYTE_UNITS) {
    if (amount < 1024) break;
    amount /= 1024;
    unit = next;
  }
  return `${Number(amount.toFixed(1))} ${unit}`;
}

/** `+120`, `−5`, `0`, with one decimal below 10. */
export function rateText(perMinute: number | null | undefined): string {
  if (perMinute === null || perMinute === undefined) return UNKNOWN;
  const amount = Number(Math.abs(perMinute).toFixed(Math.abs(perMinute) < 10 ? 1 : 0));
  if (amount === 0) return '0';
  return `${perMinute > 0 ? '+' : '−'}${COUNT.format(amount)}`;
}

/** Below this many of a unit the next smaller one is said, too: 3 h may be almost 4. */
const SMALL: Readonly<Record<string, number>> = { d: 10, h: 10, min: 3 };

/** A span of time in its largest unit, with the next smaller one where that matters: `45 s`, `2 min 5 s`, `14 min`, `3 d 4 h`. */
export function spanText(ms: number): string {
  const whole = Math.max(0, ms);
  const index = TIME_UNITS.findIndex(([, unitMs]) => whole >= unitMs);
  const [unit, unitMs] = TIME_UNITS[index] ?? ['s', 1000];
  const amount = Math.floor(whole / unitMs);
  const smaller = index === -1 || amount >= (SMALL[unit] ?? 0) ? undefined : TIME_UNITS[index + 1];
  const rest = smaller === undefined ? 0 : Math.floor((whole - amount * unitMs) / smaller[1]);
  return rest === 0 || smaller === undefined ? `${amount} ${unit}` : `${amount} ${unit} ${rest} ${smaller[0]}`;
}

/** A duration that was measured: `40 ms`, `0.4 s`, `12 s`. */
export function secondsText(seconds: number | null | undefined): string {
  if (seconds === null || seconds === undefined) return UNKNOWN;
  if (seconds < 0.1) return seconds > 0 && seconds < 0.001 ? '<1 ms' : `${Math.round(seconds * 1000)} ms`;
  return seconds < 10 ? `${Number(seconds.toFixed(1))} s` : spanText(seconds * 1000);
}

/** Where an instant lies: `in 14 min`, `4 min ago`, `now`. */
export function distanceText(atMs: number, nowMs: number): string {
  const distance = atMs - nowMs;
  if (Math.abs(distance) < 1000) return 'now';
  return distance > 0 ? `in ${spanText(distance)}` : `${spanText(-distance)} ago`;
}

/** When something is done next: `in 14 min`, `due`. */
export function dueText(atMs: number, nowMs: number): string {
  return atMs - nowMs < 1000 ? 'due' : distanceText(atMs, nowMs);
}

/** A sentence of the agent, with its instants as the viewer reads them. */
export function withLocalTimes(sentence: string, nowMs: number, timeZone?: string): string {
  return sentence.replaceAll(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z/g, (instant) =>
    localTime(Date.parse(instant), nowMs, 'time', timeZone),
  );
}

/** Since when something is so: `for 4 min`. */
export function lastingText(sinceMs: number, nowMs: number): string {
  return `for ${spanText(nowMs - sinceMs)}`;
}

/** How an instant is written. */
export type InstantStyle = 'time' | 'minute' | 'full';

/** Within this, a time without a date is not mistaken for that of another day. */
const NEAR_MS = 20 * 3_600_000;

/**
 * An instant in the viewer's zone: `14:05:09`, with the date when it is of another day; `minute`: `14:05`, with the date when
 * it is 20 h away; `full`: always with the date.
 */
export function localTime(atMs: number, nowMs: number, style: InstantStyle = 'time', timeZone?: string): string {
  const zone = timeZone === undefined ? {} : { timeZone };
  const time = instantFormat(style === 'minute' ? 'minute' : 'second', zone).format(atMs);
  const day = instantFormat('day', zone);
  const isNear = style === 'minute' ? Math.abs(atMs - nowMs) < NEAR_MS : day.format(atMs) === day.format(nowMs);
  return style !== 'full' && isNear ? time : `${day.format(atMs)} ${time}`;
}

const FORMATS = new Map<string, Intl.DateTimeFormat>();

/** Formats are kept: making one takes longer than using it a hundred times. */
function instantFormat(part: 'day' | 'minute' | 'second', zone: { readonly timeZone?: string }): Intl.DateTimeFormat {
  const key = `${part} ${zone.timeZone ?? ''}`;
  const kept = FORMATS.get(key);
  if (kept !== undefined) return kept;
  const options: Intl.DateTimeFormatOptions =
    part === 'day'
      ? { year: 'numeric', month: '2-digit', day: '2-digit' }
      : { hour: '2-digit', minute: '2-digit', hourCycle: 'h23', ...(part === 'second' ? { second: '2-digit' } : {}) };
  // Swedish writes dates as ISO 8601 does.
  const format = new Intl.DateTimeFormat('sv-SE', { ...options, ...zone });
  FORMATS.set(key, format);
  return format;
}

/** `2026-11-24 14:05:09 UTC`. */
export function utcText(atMs: number): string {
  return `${new Date(atMs).toISOString().slice(0, 19).replace('T', ' ')} UTC`;
}
