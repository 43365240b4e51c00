/** The result of a run of operations. */
export interface Load {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** Runs `count` operations, `concurrency` at a time, after `warmUp` that do not count. */
export async function load(
  { count, concurrency, warmUp = Math.ceil(count / 10) }: { count: number; concurrency: number; warmUp?: number },
  operation: (index: number) => Promise<unknown>,
): Promise<Load> {
  await run(warmUp, 0, concurrency, operation);
  const startedMs = performance.now();
  const durations = await run(count, warmUp, concurrency, operation);
  const seconds = (performance.now() - startedMs) / 1000;
  durations.sort((a, b) => a - b);
  return {
    perSecond: count / seconds,
    p50Ms: durations[Math.floor(count * 0.5)] ?? Number.NaN,
    p99Ms: durations[Math.floor(count * 0.99)] ?? Number.NaN,
  };
}

/** How many operations {@link load} runs for a count, including its warm-up: as many have to be prepared. */
export function withWarmUp(count: number): number {
  return count + Math.ceil(count / 10);
}

async function run(
  count: number,
  first: number,
  concurrency: number,
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
  await Promise.all(Array.from({ length: concurrency }, worker));
  return durations;
}

/** The median. */
export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

/** How long `work` takes, in ms. */
export async function timeOf(work: () => Promise<unknown>): Promise<number> {
  const startedMs = performance.now();
  await work();
  return performance.now() - startedMs;
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
