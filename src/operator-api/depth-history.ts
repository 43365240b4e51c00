import type { FoundQueue } from '../broker/management/queue-search.ts';
import type { Growth } from '../queues/forecast-queue.ts';
import { rateBase } from '../queues/measure-growth.ts';
import type { DepthObserver } from '../queues/survey-queues.ts';
import type { Clock, Moment } from '../util/clock.ts';
import { createSampleRing, type SampleRing } from './sample-ring.ts';

/** The depth of a queue at an instant, in ms since the epoch. What is undefined is unknown. */
export interface DepthPoint {
  readonly seenMs: number;
  readonly messages: number | undefined;
  readonly ready: number | undefined;
}

/** A queue as the latest listing shows it. */
export interface ListedDepth {
  readonly queue: string;
  readonly namespace: string;
  readonly messages: number | undefined;
  readonly ready: number | undefined;
  readonly unacknowledged: number | undefined;
}

/** Trends of all queues at the same instants, the latest of which is that of the latest listing. */
export interface DepthTrends {
  /** In ms since the epoch, in ascending order, at most 30. */
  readonly seenMs: readonly number[];
  of(queue: string): (number | null)[];
}

/**
 * The depths of all queues as listings show them, and of those that held messages over the last hours. It is in the memory
 * of one agent and bounded: see {@link MAX_SERIES}.
 */
export interface DepthHistory extends DepthObserver {
  /** When the latest listing was requested that has ended. */
  readonly latestAt: Moment | undefined;
  /** The queues of the latest listing. */
  listed(): Iterable<ListedDepth>;
  /** How it has grown; undefined: its depth is unknown. */
  growthOf(queue: string): Growth | undefined;
  /** From the oldest on; empty: nothing is known of it. */
  points(queue: string): DepthPoint[];
  trends(): DepthTrends;
}

/** Ten minutes finely, for live views and rates, and six hours. */
const FINE = { stepMs: 5_000, size: 120 };
const COARSE = { stepMs: 180_000, size: 120 };
const VALUES = 2 * (FINE.size + COARSE.size);

/** Queues of which more than the latest depth is kept: each takes 2 kB. One that was always empty takes none. */
const MAX_SERIES = 20_000;

/** A queue that is gone is kept for so long, in ms: its chart shows how it ended. */
const GONE_KEPT_MS = 3_600_000;

const TREND_MS = 3_600_000;
const MAX_TREND = 30;

/** How many of the latest samples may be the earlier one of a rate. */
const MAX_BASES = 24;

const UNKNOWN = 0xffffffff;
const MAX_VALUE = UNKNOWN - 1;

interface Track {
  readonly queue: string;
  readonly namespace: string;
  /** The number of the latest listing that showed it. */
  listing: number;
  messages: number | undefined;
  ready: number | undefined;
  unacknowledged: number | undefined;
  /** How many samples each ring had when it was seen first; infinite: none are kept. */
  fineFrom: number;
  coarseFrom: number;
  /** Samples before this, by the monotonic clock, are of another queue of its name. */
  sinceMs: number;
  goneMs: number | undefined;
  /** Messages and ready messages of each sample; undefined: it was empty in all of them. */
  values: Uint32Array | undefined;
}

/** Creates an empty history. */
export function createDepthHistory(clock: Clock): DepthHistory {
  const fine = createSampleRing(FINE);
  const coarse = createSampleRing(COARSE);
  const tracks = new Map<string, Track>();
  let series = 0;
  let begun = 0;
  let latest: { readonly at: Moment; readonly number: number } | undefined;

  const fromOf = (track: Track, ring: SampleRing): number => (ring === fine ? track.fineFrom : track.coarseFrom);
  const offsetOf = (ring: SampleRing, sample: number): number =>
    2 * (ring.slotOf(sample) + (ring === fine ? 0 : FINE.size));
  const valueAt = (track: Track, ring: SampleRing, sample: number, which: 0 | 1): number | undefined => {
    if (sample < fromOf(track, ring)) return undefined;
    if (track.values === undefined) return 0;
    const value = track.values[offsetOf(ring, sample) + which];
    return value === UNKNOWN ? undefined : value;
  };
  /** Begins to keep what a queue held, which was nothing so far. */
  const allocate = (track: Track): Uint32Array | undefined => {
    if (series >= MAX_SERIES) {
      track.fineFrom = Infinity;
      track.coarseFrom = Infinity;
      return undefined;
    }
    series += 1;
    track.values = new Uint32Array(VALUES).fill(UNKNOWN);
    for (const ring of [fine, coarse]) {
      for (const sample of ring.samples()) {
        if (sample < fromOf(track, ring)) continue;
        const offset = offsetOf(ring, sample);
        track.values.fill(0, offset, offset + 2);
      }
    }
    return track.values;
  };
  const drop = (track: Track): void => {
    if (track.values !== undefined) series -= 1;
    tracks.delete(track.queue);
  };
  const record = (ring: SampleRing, at: Moment): void => {
    if (!ring.isDue(at.monotonicMs)) return;
    const sample = ring.add(at.monotonicMs);
    const offset = offsetOf(ring, sample);
    for (const track of tracks.values()) {
      const isGone = track.goneMs !== undefined;
      if (track.values === undefined && !isGone && track.messages === 0) continue;
      if (track.fineFrom === Infinity) continue;
      const values = track.values ?? allocate(track);
      if (values === undefined) continue;
      values[offset] = isGone ? UNKNOWN : stored(track.messages);
      values[offset + 1] = isGone ? UNKNOWN : stored(track.ready);
    }
  };
  const wallMs = (monotonicMs: number): number => clock.nowMs() - (clock.monotonicMs() - monotonicMs);
  const isListed = (track: Track): boolean => latest !== undefined && track.listing >= latest.number;

  let bases: readonly number[] = [];
  const growthOf = (track: Track): Growth | undefined => {
    if (track.messages === undefined || latest === undefined) return undefined;
    const { at } = latest;
    const now = { amount: track.messages, seenMs: at.wallMs };
    const base = rateBase(
      bases,
      (sample) => at.monotonicMs - fine.instantOf(sample),
      (sample) => fine.instantOf(sample) >= track.sinceMs && valueAt(track, fine, sample, 0) !== undefined,
    );
    const amount = base === undefined ? undefined : valueAt(track, fine, base, 0);
    if (base === undefined || amount === undefined) return { latest: now };
    return { latest: now, earlier: { amount, seenMs: at.wallMs - (at.monotonicMs - fine.instantOf(base)) } };
  };
  /** All samples, from the oldest on, the coarse ones only from before the fine ones. */
  const allSamples = (): Sampled[] => {
    const oldestFineMs = fine.oldestMs;
    const before = coarse.samples().filter((sample) => coarse.instantOf(sample) < oldestFineMs);
    return [
      ...before.map((sample) => ({ ring: coarse, sample, atMs: coarse.instantOf(sample) })),
      ...fine.samples().map((sample) => ({ ring: fine, sample, atMs: fine.instantOf(sample) })),
    ];
  };

  return {
    get latestAt() {
      return latest?.at;
    },
    begin(at) {
      begun += 1;
      const number = begun;
      return {
        add({ name, messages, ready, unacknowledged }: FoundQueue, namespace) {
          let track = tracks.get(name);
          if (track === undefined) {
            track = {
              queue: name,
              namespace,
              listing: number,
              messages,
              ready,
              unacknowledged,
              fineFrom: fine.count,
              coarseFrom: coarse.count,
              sinceMs: -Infinity,
              goneMs: undefined,
              values: undefined,
            };
            tracks.set(name, track);
          }
          track.listing = Math.max(track.listing, number);
          track.messages = messages;
          track.ready = ready;
          track.unacknowledged = unacknowledged;
          track.goneMs = undefined;
        },
        end() {
          if (latest !== undefined && latest.number > number) return;
          latest = { at, number };
          for (const track of tracks.values()) {
            if (track.listing >= number) continue;
            const goneMs = (track.goneMs ??= at.monotonicMs);
            if (track.values === undefined || at.monotonicMs - goneMs > GONE_KEPT_MS) drop(track);
          }
          record(fine, at);
          record(coarse, at);
          bases = fine.samples().slice(-MAX_BASES);
        },
      };
    },
    forget(queue) {
      const track = tracks.get(queue);
      if (track !== undefined) track.sinceMs = clock.monotonicMs();
    },
    *listed() {
      for (const track of tracks.values()) if (isListed(track)) yield track;
    },
    growthOf(queue) {
      const track = tracks.get(queue);
      return track === undefined || !isListed(track) ? undefined : growthOf(track);
    },
    points(queue) {
      const track = tracks.get(queue);
      if (track === undefined) return [];
      const known = allSamples()
        .filter(({ ring, sample }) => sample >= fromOf(track, ring))
        .map(({ ring, sample, atMs }) => ({
          seenMs: wallMs(atMs),
          messages: valueAt(track, ring, sample, 0),
          ready: valueAt(track, ring, sample, 1),
        }));
      if (latest === undefined || !isListed(track) || latest.at.monotonicMs <= fine.latestMs) return known;
      return [...known, { seenMs: wallMs(latest.at.monotonicMs), messages: track.messages, ready: track.ready }];
    },
    trends() {
      if (latest === undefined) return { seenMs: [], of: () => [] };
      const { at } = latest;
      const isNewer = at.monotonicMs > fine.latestMs;
      const recent = allSamples().filter(({ atMs }) => at.monotonicMs - atMs <= TREND_MS);
      const chosen = thinOut(recent, isNewer ? MAX_TREND - 1 : MAX_TREND);
      return {
        seenMs: [...chosen.map(({ atMs }) => wallMs(atMs)), ...(isNewer ? [wallMs(at.monotonicMs)] : [])],
        of(queue) {
          const track = tracks.get(queue);
          if (track === undefined) return [...chosen.map(() => null), ...(isNewer ? [null] : [])];
          const trend = chosen.map(({ ring, sample }) => valueAt(track, ring, sample, 0) ?? null);
          return isNewer ? [...trend, isListed(track) ? (track.messages ?? null) : null] : trend;
        },
      };
    },
  };
}

interface Sampled {
  readonly ring: SampleRing;
  readonly sample: number;
  readonly atMs: number;
}

function stored(amount: number | undefined): number {
  return amount === undefined ? UNKNOWN : Math.min(amount, MAX_VALUE);
}

/** At most `max` of them, spread evenly over their time: the last one of each part of it. */
function thinOut(samples: readonly Sampled[], max: number): Sampled[] {
  const [first, last] = [samples[0], samples.at(-1)];
  if (first === undefined || last === undefined || samples.length <= max) return [...samples];
  const partMs = (last.atMs - first.atMs) / max;
  const partOf = ({ atMs }: Sampled): number => Math.min(max - 1, Math.floor((atMs - first.atMs) / partMs));
  return samples.filter((one, index) => {
    const next = samples[index + 1];
    return next === undefined || partOf(next) !== partOf(one);
  });
}
