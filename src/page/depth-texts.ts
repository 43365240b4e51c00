import type { QueueHistoryAnswer } from '../operator-api/schemas.ts';
import { type ChartPoint, roundTop } from './chart-geometry.ts';
import { countText, spanText } from './page-formats.ts';

type DepthLimits = Pick<QueueHistoryAnswer['limits'], 'warnAtMessages' | 'deleteAtMessages'> & {
  /** What is done at the second threshold; absent: deleted. */
  readonly onOvergrown?: 'delete' | 'purge' | 'leave';
};

const LOSSES = { delete: 'deleted', purge: 'purged', leave: 'left alone' } as const;

/** From which share of a threshold on a chart shows it: below, the line of the depth would lie on the axis. */
const NEAR = 0.25;

/** What a chart of these depths spans. */
export function chartSpan(
  depths: readonly ChartPoint[],
  { warnAtMessages, deleteAtMessages }: DepthLimits,
): { readonly top: number; readonly step: number; readonly fromMs: number; readonly untilMs: number } {
  const largest = Math.max(0, ...depths.map(({ value }) => value ?? 0));
  const isWarned = largest >= warnAtMessages * 0.6;
  const shown = isWarned ? deleteAtMessages : largest >= warnAtMessages * NEAR ? warnAtMessages : 0;
  const fromMs = depths[0]?.atMs ?? 0;
  return { ...roundTop(Math.max(largest, shown) * 1.04), fromMs, untilMs: depths.at(-1)?.atMs ?? fromMs };
}

/** The thresholds that lie on a chart up to `top`. */
export function shownLimits(
  top: number,
  { warnAtMessages, deleteAtMessages, onOvergrown = 'delete' }: DepthLimits,
): { readonly name: 'warn' | 'delete' | 'purge' | 'leave'; readonly at: number }[] {
  const limits = [
    { name: 'warn', at: warnAtMessages },
    { name: onOvergrown, at: deleteAtMessages },
  ] as const;
  return limits.filter(({ at }) => at <= top);
}

/** The chart in words. */
export function describeDepths(
  depths: readonly ChartPoint[],
  { warnAtMessages, deleteAtMessages, onOvergrown = 'delete' }: DepthLimits,
): string {
  const known = depths.filter((point): point is { atMs: number; value: number } => point.value !== null);
  const [first, last] = [known[0], known.at(-1)];
  if (first === undefined || last === undefined) return 'no depth is known yet';
  const largest = Math.max(...known.map(({ value }) => value));
  const over = last.atMs > first.atMs ? ` in ${spanText(last.atMs - first.atMs)}` : '';
  const change =
    known.length === 1
      ? `${countText(last.value)} messages`
      : `from ${countText(first.value)} to ${countText(last.value)} messages${over}, at most ${countText(largest)}`;
  return `${change}; owners are warned at ${countText(warnAtMessages)}, it is ${LOSSES[onOvergrown]} at ${countText(deleteAtMessages)}`;
}
