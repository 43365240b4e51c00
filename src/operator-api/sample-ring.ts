/** The instants of the latest samples. Samples are numbered from 0; the values of one have its slot. */
export interface SampleRing {
  /** How many were added. */
  readonly count: number;
  /** The instants of the oldest and the latest sample; infinite without one. */
  readonly oldestMs: number;
  readonly latestMs: number;
  /** Whether the latest one is old enough for another. */
  isDue(atMs: number): boolean;
  /** Adds a sample in place of the oldest one, and returns its number. */
  add(atMs: number): number;
  /** The numbers of those that are kept, from the oldest on. */
  samples(): number[];
  slotOf(sample: number): number;
  instantOf(sample: number): number;
}

/** Listings come at times of their own: one that is early by this much is taken, in ms. */
const EARLY_MS = 500;

/** An empty ring of `size` samples, `stepMs` apart or more. */
export function createSampleRing({ stepMs, size }: { readonly stepMs: number; readonly size: number }): SampleRing {
  const instants = new Float64Array(size);
  let count = 0;
  const instantOf = (sample: number): number => instants[sample % size] ?? Number.NaN;
  const oldest = (): number => Math.max(0, count - size);
  return {
    get count() {
      return count;
    },
    get oldestMs() {
      return count === 0 ? Infinity : instantOf(oldest());
    },
    get latestMs() {
      return count === 0 ? -Infinity : instantOf(count - 1);
    },
    isDue: (atMs) => count === 0 || atMs - instantOf(count - 1) >= stepMs - EARLY_MS,
    add(atMs) {
      instants[count % size] = atMs;
      count += 1;
      return count - 1;
    },
    samples: () => Array.from({ length: count - oldest() }, (_, index) => oldest() + index),
    slotOf: (sample) => sample % size,
    instantOf,
  };
}
