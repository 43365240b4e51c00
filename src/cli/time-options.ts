import { formatInstant, parseInstant } from '../contract/fields.ts';
import { UsageFault } from './define-command.ts';

const UNITS_MS = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/**
 * Reads the value of an option that names a time in the future: `2026-11-24T12:00:00Z`, or a duration from now such as
 * `90m`, `4h` or `7d`.
 *
 * @returns the time in ISO 8601
 * @throws UsageFault when the value is neither
 */
export function futureTime(option: string, value: string, nowMs: number): string {
  const durationMs = parseDuration(value);
  const ms = durationMs === undefined ? parseInstant(value) : nowMs + durationMs;
  if (ms === undefined) {
    throw new UsageFault(
      `Give ${option} as a time such as 2026-11-24T12:00:00Z, or as a duration from now such as 4h.`,
    );
  }
  return formatInstant(ms);
}

/**
 * Reads the value of an option that names a time in the past: in full, or a duration before now such as `90m`.
 *
 * @returns the time in ms since the epoch
 * @throws UsageFault when the value is neither
 */
export function pastTime(option: string, value: string, nowMs: number): number {
  const durationMs = parseDuration(value);
  const ms = durationMs === undefined ? parseInstant(value) : nowMs - durationMs;
  if (ms === undefined) {
    throw new UsageFault(
      `Give ${option} as a time such as 2026-11-24T12:00:00Z, or as a duration before now such as 4h.`,
    );
  }
  return ms;
}

/** `90m` in ms; undefined for text in another form. */
export function parseDuration(value: string): number | undefined {
  const [, count, unit] = /^([0-9]{1,9})([smhd])$/.exec(value) ?? [];
  return unit === undefined ? undefined : Number(count) * UNITS_MS[unit as keyof typeof UNITS_MS];
}
