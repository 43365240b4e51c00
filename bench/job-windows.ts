/** One run of a job: when it was, in ms since the epoch. */
export interface JobWindow {
  readonly name: string;
  readonly fromMs: number;
  readonly toMs: number;
}

/** The CPU time that a process had used at an instant. */
export interface CpuSample {
  readonly atMs: number;
  readonly cpuMs: number;
}

/** The CPU time that a process used in a window, between the latest sample before it and the first one after it, in ms. */
export function cpuMsIn(samples: readonly CpuSample[], { fromMs, toMs }: Pick<JobWindow, 'fromMs' | 'toMs'>): number {
  const before = samples.findLast(({ atMs }) => atMs <= fromMs) ?? samples[0];
  const after = samples.find(({ atMs }) => atMs >= toMs) ?? samples.at(-1);
  return (after?.cpuMs ?? Number.NaN) - (before?.cpuMs ?? Number.NaN);
}
