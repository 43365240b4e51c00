import { formatInstant, parseInstant } from '../contract/fields.ts';
import { UsageFault } from './command.ts';

const UNITS_MS = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/**
 * An instant as a person gives it: `2026-11-24T12:00:00Z`, or from now on, as in `90m`, `4h` or `7d`.
 *
 * @throws UsageFault when it is neither.
 */
export function instantFrom(option: string, text: string, nowMs: number): string {
  const [, count, unit] = /^([0-9]{1,9})([smhd])$/.exec(text) ?? [];
  const ms = unit === undefined ? parseInstant(text) : nowMs + Number(count) * UNITS_MS[unit as keyof typeof UNITS_MS];
  if (ms === undefined) {
    throw new UsageFault(
      `Give ${option} as an instant such as 2026-11-24T12:00:00Z, or as a time from now such as 4h.`,
    );
  }
  return formatInstant(ms);
}

/**
 * An instant in the past as a person gives it: in full, or so long ago, as in `90m`. In ms since the epoch.
 *
 * @throws UsageFault when it is neither.
 */
export function pastInstantFrom(option: string, text: string, nowMs: number): number {
  const [, count, unit] = /^([0-9]{1,9})([smhd])$/.exec(text) ?? [];
  const ms = unit === undefined ? parseInstant(text) : nowMs - Number(count) * UNITS_MS[unit as keyof typeof UNITS_MS];
  if (ms === undefined) {
    throw new UsageFault(`Give ${option} as an instant such as 2026-11-24T12:00:00Z, or as so long ago such as 4h.`);
  }
  return ms;
}
