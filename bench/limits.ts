/**
 * The rate of work that has several parts, one after the other on the same cores, from the rates of the parts: 1/limit =
 * 1/first + 1/second + ….
 */
export function rateOfParts(...perSecond: readonly number[]): number {
  return 1 / perSecond.reduce((seconds, rate) => seconds + 1 / rate, 0);
}

/** The median. */
export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

/**
 * The value that the fraction `part` of the values does not exceed.
 *
 * @param sorted in ascending order
 */
export function percentile(sorted: readonly number[], part: number): number {
  return sorted[Math.max(Math.ceil(sorted.length * part) - 1, 0)] ?? Number.NaN;
}

/** The durations of the raw work and of the agent's work in one round, in ms. */
export type Pair = readonly [rawMs: number, oursMs: number];

/** The medians of several rounds. */
export function medians(pairs: readonly Pair[]): { rawMs: number; oursMs: number; ratio: number } {
  return {
    rawMs: median(pairs.map(([rawMs]) => rawMs)),
    oursMs: median(pairs.map(([, oursMs]) => oursMs)),
    ratio: median(pairs.map(([rawMs, oursMs]) => oursMs / rawMs)),
  };
}
