import type { JSX } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import type { QueueHistoryAnswer } from '../operator-api/schemas.ts';
import {
  areaPath,
  type ChartPoint,
  type ChartScale,
  linePath,
  nearestPoint,
  timeTicks,
  xOf,
  yOf,
} from './chart-geometry.ts';
import { chartSpan, describeDepths, shownLimits } from './depth-texts.ts';
import { countText, localTime, shortCount } from './page-formats.ts';
import { agentNowMs } from './page-clock.ts';

const HEIGHT = 190;
const MARGIN = { top: 10, right: 12, bottom: 22, left: 44 };

interface DepthChartProps {
  readonly history: Pick<QueueHistoryAnswer, 'queue' | 'points' | 'limits'>;
}

/** The depth of a queue over the last hours, with its thresholds. */
export function DepthChart({ history }: DepthChartProps): JSX.Element {
  const [frame, width] = useWidth();
  const [pointedMs, setPointedMs] = useState<number>();
  const { points, limits } = history;
  const depths: ChartPoint[] = points.map(([at, messages]) => ({ atMs: Date.parse(at), value: messages }));
  const ready: ChartPoint[] = points.map(([at, , value]) => ({ atMs: Date.parse(at), value }));
  const { top, step, fromMs, untilMs } = chartSpan(depths, limits);
  const scale: ChartScale = {
    fromMs,
    untilMs,
    top,
    width: Math.max(60, width - MARGIN.left - MARGIN.right),
    height: HEIGHT - MARGIN.top - MARGIN.bottom,
  };
  const pointed = pointedMs === undefined ? undefined : nearestPoint(depths, pointedMs);
  const point = (event: PointerEvent): void => {
    const left = (event.currentTarget as Element).getBoundingClientRect().left + MARGIN.left;
    setPointedMs(fromMs + ((event.clientX - left) / scale.width) * (untilMs - fromMs));
  };
  const text = describeDepths(depths, limits);
  return (
    <figure class="depth-chart" ref={frame}>
      <svg
        viewBox={`0 0 ${width} ${HEIGHT}`}
        height={HEIGHT}
        role="img"
        aria-label={`Depth of ${history.queue}: ${text}`}
        onPointerMove={point}
        onPointerLeave={() => setPointedMs(undefined)}
      >
        <g transform={`translate(${MARGIN.left} ${MARGIN.top})`}>
          <Axes scale={scale} step={step} />
          <path class="depth-ready" d={areaPath(ready, scale)} />
          <path class="depth-path" d={linePath(depths, scale)} />
          {shownLimits(top, limits).map(({ name, at }) => (
            <g key={name} class={`limit ${name}`}>
              <line x1="0" x2={scale.width} y1={yOf(at, scale)} y2={yOf(at, scale)} />
              <text x={scale.width} y={yOf(at, scale) - 4}>{`${name} at ${countText(at)}`}</text>
            </g>
          ))}
          {pointed !== undefined && pointed.value !== null && (
            <g class="pointed">
              <line x1={xOf(pointed.atMs, scale)} x2={xOf(pointed.atMs, scale)} y1="0" y2={scale.height} />
              <circle cx={xOf(pointed.atMs, scale)} cy={yOf(pointed.value, scale)} r="3.5" />
            </g>
          )}
        </g>
      </svg>
      <figcaption>
        <span class="legend">
          <span class="legend-line" /> messages <span class="legend-area" /> ready
        </span>
        {pointed === undefined ? text : pointText(points, pointed.atMs)}
      </figcaption>
    </figure>
  );
}

function Axes({ scale, step }: { readonly scale: ChartScale; readonly step: number }): JSX.Element {
  const amounts = Array.from({ length: Math.round(scale.top / step) + 1 }, (_, index) => index * step);
  const zoneOffsetMs = -new Date(scale.untilMs).getTimezoneOffset() * 60_000;
  const minimumGap = 44;
  const ticks = timeTicks(scale.fromMs, scale.untilMs, zoneOffsetMs).filter(
    (_tick, index, all) => scale.width / all.length > minimumGap || index % 2 === 0,
  );
  return (
    <g class="axes" aria-hidden="true">
      {amounts.map((amount) => (
        <g key={amount}>
          <line x1="0" x2={scale.width} y1={yOf(amount, scale)} y2={yOf(amount, scale)} />
          <text class="amount" x="-8" y={yOf(amount, scale) + 4}>
            {shortCount(amount)}
          </text>
        </g>
      ))}
      {ticks.map((atMs) => (
        <text key={atMs} class="tick" x={xOf(atMs, scale)} y={scale.height + 17}>
          {localTime(atMs, agentNowMs(), 'minute').slice(-5)}
        </text>
      ))}
    </g>
  );
}

function pointText(points: DepthChartProps['history']['points'], atMs: number): string {
  const found = points.find(([at]) => Date.parse(at) === atMs);
  if (found === undefined) return '';
  const [, messages, ready, unacknowledged] = found;
  const parts = ready === null ? '' : ` (${countText(ready)} ready, ${countText(unacknowledged)} unacknowledged)`;
  return `${localTime(atMs, agentNowMs())}: ${countText(messages)} messages${parts}`;
}

/** The width of an element, in px, also after it changed. */
function useWidth(): [{ current: HTMLElement | null }, number] {
  const element = useRef<HTMLElement>(null);
  const [width, setWidth] = useState(600);
  useEffect(() => {
    if (element.current === null) return undefined;
    const observer = new ResizeObserver(([entry]) => {
      if (entry !== undefined) setWidth(Math.round(entry.contentRect.width));
    });
    observer.observe(element.current);
    return () => observer.disconnect();
  }, []);
  return [element, width];
}
