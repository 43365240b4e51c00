import { percentile } from './limits.ts';

/** The result of a run of operations. */
export interface Load {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** The CPU time of the measured process for each operation, in ms; NaN where none was measured. */
  readonly cpuMs: number;
  /** That of RabbitMQ; NaN where it was not measured. */
  readonly brokerCpuMs: number;
}

/** How many operations, and how many at a time. */
export interface Size {
  readonly count: number;
  readonly concurrency: number;
  /** How many come before and do not count; a tenth when absent. */
  readonly warmUp?: number;
}

/**
 * Runs `count` operations, `concurrency` at a time, after `warmUp` that do not count.
 *
 * @param readCpuMs the CPU time that the measured process has used so far, in ms
 * @param readBrokerCpuMs the same of RabbitMQ
 */
export async function load(
  { count, concurrency, warmUp = Math.ceil(count / 10) }: Size,
  operation: (index: number) => Promise<unknown>,
  readCpuMs: () => number = () => Number.NaN,
  readBrokerCpuMs: () => number = () => Number.NaN,
): Promise<Load> {
  await run(warmUp, 0, concurrency, operation);
  const startedMs = performance.now();
  const [cpuBeforeMs, brokerBeforeMs] = [readCpuMs(), readBrokerCpuMs()];
  const durations = await run(count, warmUp, concurrency, operation);
  const cpuMs = readCpuMs() - cpuBeforeMs;
  const brokerCpuMs = readBrokerCpuMs() - brokerBeforeMs;
  const seconds = (performance.now() - startedMs) / 1000;
  durations.sort((a, b) => a - b);
  return {
    perSecond: count / seconds,
    p50Ms: percentile(durations, 0.5),
    p99Ms: percentile(durations, 0.99),
    cpuMs: cpuMs / count,
    brokerCpuMs: brokerCpuMs / count,
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

/** How long `work` takes, in ms. */
export async function timeOf(work: () => Promise<unknown>): Promise<number> {
  const startedMs = performance.now();
  await work();
  return performance.now() - startedMs;
}
