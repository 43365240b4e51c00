const UNITS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['min', 60_000],
] as const;

/** A duration in its largest unit of which it has two, such as `90 s`, `15 min`, `47 h`. */
export function formatDuration(ms: number): string {
  const [unit, length] = UNITS.find(([, unitMs]) => ms >= 2 * unitMs) ?? ['s', 1000];
  return `${Math.floor(ms / length)} ${unit}`;
}
