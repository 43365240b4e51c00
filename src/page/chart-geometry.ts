/** Where the points of a chart are. Coordinates are rounded: a chart of 10,000 digits is not sharper. */

/** A value at an instant; null: unknown then. */
export interface ChartPoint {
  readonly atMs: number;
  readonly value: number | null;
}

/** What a chart spans. */
export interface ChartScale {
  readonly fromMs: number;
  readonly untilMs: number;
  /** The value at the upper edge; the lower one is 0. */
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

const STEPS = [1, 2, 2.5, 5, 10];

/** The smallest round number that is at least `largest`, and the step of its three to five lines. */
export function roundTop(largest: number): { readonly top: number; readonly step: number } {
  if (largest <= 4) return { top: 4, step: 1 };
  const rough = largest / 4;
  const magnitude = 10 ** Math.floor(Math.log10(rough));
  const step = (STEPS.find((one) => one * magnitude >= rough) ?? 10) * magnitude;
  return { top: Math.ceil(largest / step) * step, step };
}

export function xOf(atMs: number, { fromMs, untilMs, width }: ChartScale): number {
  return rounded(untilMs === fromMs ? width : ((atMs - fromMs) / (untilMs - fromMs)) * width);
}

export function yOf(value: number, { top, height }: ChartScale): number {
  return rounded(height - (Math.min(value, top) / top) * height);
}

/** The path of a line. It is interrupted where the value is unknown. */
export function linePath(points: readonly ChartPoint[], scale: ChartScale): string {
  let isDrawing = false;
  let path = '';
  for (const { atMs, value } of points) {
    if (value === null) {
      isDrawing = false;
      continue;
    }
    path += `${isDrawing ? 'L' : 'M'}${xOf(atMs, scale)} ${yOf(value, scale)}`;
    isDrawing = true;
  }
  return path;
}

/** The path of the area below a line, one closed piece for each run of known values. */
export function areaPath(points: readonly ChartPoint[], scale: ChartScale): string {
  return knownRuns(points)
    .map((run) => {
      const [first, last] = [run[0], run.at(-1)];
      if (first === undefined || last === undefined) return '';
      const line = linePath(run, scale).replace(/^M/, 'L');
      return `M${xOf(first.atMs, scale)} ${scale.height}${line}L${xOf(last.atMs, scale)} ${scale.height}Z`;
    })
    .join('');
}

/** Instants for the lower edge: two to seven of them, at round times of the viewer's zone. */
export function timeTicks(fromMs: number, untilMs: number, zoneOffsetMs: number): number[] {
  const MINUTE = 60_000;
  const choices = [1, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440].map((minutes) => minutes * MINUTE);
  const step = choices.find((one) => (untilMs - fromMs) / one <= 6) ?? 1440 * MINUTE;
  const ticks: number[] = [];
  for (let atMs = Math.ceil((fromMs + zoneOffsetMs) / step) * step - zoneOffsetMs; atMs <= untilMs; atMs += step) {
    ticks.push(atMs);
  }
  return ticks;
}

/** The point nearest to an instant; undefined: there are none. */
export function nearestPoint(points: readonly ChartPoint[], atMs: number): ChartPoint | undefined {
  let nearest: ChartPoint | undefined;
  for (const point of points) {
    if (nearest === undefined || Math.abs(point.atMs - atMs) < Math.abs(nearest.atMs - atMs)) nearest = point;
  }
  return nearest;
}

function knownRuns(points: readonly ChartPoint[]): ChartPoint[][] {
  const runs: ChartPoint[][] = [[]];
  for (const point of points) {
    if (point.value === null) runs.push([]);
    else runs.at(-1)?.push(point);
  }
  return runs.filter((run) => run.length > 0);
}

function rounded(coordinate: number): number {
  return Math.round(coordinate * 10) / 10;
}
