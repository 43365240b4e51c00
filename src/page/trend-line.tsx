import type { JSX } from 'preact';
import { areaPath, type ChartPoint, linePath } from './chart-geometry.ts';
import { countText } from './page-formats.ts';

const WIDTH = 96;
const HEIGHT = 24;

interface TrendLineProps {
  readonly amounts: readonly (number | null)[];
  /** The instants of the amounts, in ISO 8601. */
  readonly instants: readonly string[];
  readonly tone: string;
}

/** A small chart of the depth of a queue, from 0 to the deepest. */
export function TrendLine({ amounts, instants, tone }: TrendLineProps): JSX.Element {
  const points: ChartPoint[] = amounts.map((value, index) => ({ atMs: Date.parse(instants[index] ?? ''), value }));
  const known = amounts.filter((amount) => amount !== null);
  const [first, last] = [points[0], points.at(-1)];
  if (known.length < 2 || first === undefined || last === undefined) return <span class="unknown">no history</span>;
  const largest = Math.max(...known);
  const scale = {
    fromMs: first.atMs,
    untilMs: last.atMs,
    // A line along the top or the bottom would be cut in half.
    top: Math.max(1, largest) * 1.08,
    width: WIDTH,
    height: HEIGHT - 2,
  };
  const text = `from ${countText(known[0])} to ${countText(known.at(-1))}, at most ${countText(largest)}`;
  return (
    <svg class={`trend ${tone}`} viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label={`Trend: ${text}`}>
      <title>{text}</title>
      <path class="trend-area" d={areaPath(points, scale)} />
      <path class="trend-path" d={linePath(points, scale)} />
    </svg>
  );
}
