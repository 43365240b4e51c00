import type { Clock } from '../util/clock.ts';
import { rejectAfter } from '../util/deadline.ts';

/** Something that is read again while it is asked for. */
export interface Snapshot<T> {
  /**
   * The latest value, which is at most `maxAgeMs` old. It is returned without waiting where there is one, and is read again
   * in the background when its time has come. One from before a time without requests is waited for a moment.
   */
  get(): Promise<T>;
  /** A value whose reading began at or after this instant of the monotonic clock; it is waited for if need be. */
  since(startedMs: number): Promise<T>;
  /** The latest value, whatever its age. */
  readonly latest: T | undefined;
  /** Forgets the value if no reader has asked for it for `maxAgeMs`: the next one waits for another. */
  releaseUnused(): void;
}

interface SnapshotOptions {
  /**
   * How long a value is not read again, counted from the start of its reading, given how long that took, in ms; as
   * {@link snapshotPauseMs} when absent.
   */
  readonly pauseMs?: (tookMs: number) => number;
  /** {@link MAX_AGE_MS} when absent. */
  readonly maxAgeMs?: number;
  readonly clock: Pick<Clock, 'monotonicMs'>;
}

/** What was read longer ago says nothing about now, in ms. */
export const MAX_AGE_MS = 120_000;

/** A value whose time came this long ago is from before a time without requests, in ms. */
const UNASKED_MS = 10_000;

/** How long those that ask then wait for a new one, from the start of its reading, in ms. */
const RETURN_WAIT_MS = 1_000;

/** Reads at most once at a time. A failure is thrown to those that have no value, or one that is too old. */
export function createSnapshot<T>(
  read: () => Promise<T>,
  { pauseMs = snapshotPauseMs, maxAgeMs = MAX_AGE_MS, clock }: SnapshotOptions,
): Snapshot<T> {
  let known: { readonly value: T; readonly startedMs: number; readonly untilMs: number } | undefined;
  let running: { readonly value: Promise<T>; readonly startedMs: number } | undefined;
  let failedUntilMs = -Infinity;
  let askedMs = -Infinity;

  const run = async (): Promise<T> => {
    const startedMs = clock.monotonicMs();
    try {
      const value = await read();
      known = { value, startedMs, untilMs: startedMs + pauseMs(clock.monotonicMs() - startedMs) };
      return value;
    } catch (error) {
      failedUntilMs = clock.monotonicMs() + pauseMs(clock.monotonicMs() - startedMs);
      throw error;
    } finally {
      running = undefined;
    }
  };
  const renew = (): Promise<T> => {
    running ??= { startedMs: clock.monotonicMs(), value: run() };
    return running.value;
  };

  return {
    async since(startedMs) {
      askedMs = clock.monotonicMs();
      if (known !== undefined && known.startedMs >= startedMs) return known.value;
      // One that is being read may have begun before.
      await running?.value.catch(() => undefined);
      return known !== undefined && known.startedMs >= startedMs ? known.value : await renew();
    },
    get latest() {
      return known?.value;
    },
    releaseUnused() {
      if (clock.monotonicMs() - askedMs > maxAgeMs) known = undefined;
    },
    async get() {
      const nowMs = clock.monotonicMs();
      askedMs = nowMs;
      if (known === undefined || nowMs - known.startedMs > maxAgeMs) return await renew();
      // Its failure concerns a later call, which reads again.
      if (nowMs < known.untilMs || nowMs < failedUntilMs) return known.value;
      const { value } = known;
      const renewed = renew().catch(() => value);
      const waitMs = RETURN_WAIT_MS - (nowMs - (running?.startedMs ?? nowMs));
      if (nowMs - known.untilMs < UNASKED_MS || waitMs <= 0) return value;
      return await rejectAfter(waitMs, renewed).catch(() => value);
    },
  };
}

/** How long an answer waits for a part of it that it can do without, in ms. */
const PATIENCE_MS = 2_000;

/** The value, for an answer that can do without; undefined: unknown. */
export async function valueOrUnknown<T>(snapshot: Pick<Snapshot<T>, 'get'>): Promise<T | undefined> {
  return await rejectAfter(PATIENCE_MS, snapshot.get()).catch(() => undefined);
}

/** The least pause between two readings of one thing, and the longest for something that takes long, in ms. */
const MIN_PAUSE_MS = 2_000;
const MAX_PAUSE_MS = 60_000;

/** A reading takes at most a twentieth of the time. */
const SHARE = 20;

/** The pause after a reading that took this long, in ms. */
export function snapshotPauseMs(tookMs: number): number {
  return Math.min(Math.max(MIN_PAUSE_MS, SHARE * tookMs), MAX_PAUSE_MS);
}
