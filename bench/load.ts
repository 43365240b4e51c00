/** What a run of operations gave. */
export interface Load {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** Runs `count` operations, `atOnce` at a time, after `warmUp` that are not counted. */
export async function load(
  { count, atOnce, warmUp = Math.ceil(count / 10) }: { count: number; atOnce: number; warmUp?: number },
  operation: (index: number) => Promise<unknown>,
): Promise<Load> {
  await run(warmUp, 0, atOnce, operation);
  const startedMs = performance.now();
  const durations = await run(count, warmUp, atOnce, operation);
  const seconds = (performance.now() - startedMs) / 1000;
  durations.sort((a, b) => a - b);
  return {
    perSecond: count / seconds,
    p50Ms: durations[Math.floor(count * 0.5)] ?? Number.NaN,
    p99Ms: durations[Math.floor(count * 0.99)] ?? Number.NaN,
  };
}

/** How many operations {@link load} makes for a count: what has to be prepared. */
export function prepared(count: number): number {
  return count + Math.ceil(count / 10);
}

async function run(
  count: number,
  first: number,
  atOnce: number,
  operation: (index: number) => Promise<unknown>,
): Promise<number[]> {
  const durations: number[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) {
      const index = first + next;
      next += 1;
      const startedMs = performance.now();
      await operation(index);
      durations.push(performance.now() - startedMs);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  return durations;
}

/** The middle one of several ratios, each of two runs that followed one another. */
export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

/** How long something takes, in ms. */
export async function timeOf(work: () => Promise<unknown>): Promise<number> {
  const startedMs = performance.now();
  await work();
  return performance.now() - startedMs;
}

/** How long the raw work and ours took in one round, right after one another, in ms. */
export type Pair = readonly [rawMs: number, oursMs: number];

/** The middle ones of several rounds. */
export function medians(pairs: readonly Pair[]): { rawMs: number; oursMs: number; ratio: number } {
  return {
    rawMs: median(pairs.map(([rawMs]) => rawMs)),
    oursMs: median(pairs.map(([, oursMs]) => oursMs)),
    ratio: median(pairs.map(([rawMs, oursMs]) => oursMs / rawMs)),
  };
}
