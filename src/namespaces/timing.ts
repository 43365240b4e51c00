import type { Config } from '../config/config.ts';

/** The intervals that the rules of time are made of, in milliseconds. */
export interface Intervals {
  readonly rotationMs: number;
  readonly defaultLifetimeMs: number;
  readonly maxLifetimeMs: number;
  /**
   * For how long after a login a connection may still open: RabbitMQ looks at a password once, at the login, and counts its
   * `handshake_timeout` from the beginning of the connection.
   */
  readonly handshakeMs: number;
}

/** The intervals of an installation. */
export function intervalsOf(
  config: Pick<
    Config,
    'rotationIntervalSeconds' | 'defaultLifetimeSeconds' | 'maxLifetimeSeconds' | 'handshakeTimeoutSeconds'
  >,
): Intervals {
  return {
    rotationMs: config.rotationIntervalSeconds * 1000,
    defaultLifetimeMs: config.defaultLifetimeSeconds * 1000,
    maxLifetimeMs: config.maxLifetimeSeconds * 1000,
    handshakeMs: config.handshakeTimeoutSeconds * 1000,
  };
}

/** The longest write window, whatever the rotation interval. */
const LONGEST_FENCE_MS = 10_000;

/** How long deletion waits after `expires`, at most. */
const LONGEST_DELETION_DELAY_MS = 60_000;

/**
 * The write window F: a password is sent to the broker at most F after its record was read, with a time-out of F. So
 * after 2F no write that was based on that record can arrive any more. An eighth of the interval leaves room for two
 * windows and a clock difference in the half interval between the last `reclaimAt` and the next write to that account.
 */
export function fenceMs(intervals: Intervals): number {
  return Math.min(LONGEST_FENCE_MS, intervals.rotationMs / 8);
}

/** By how much the clocks of two agents may differ, in ms. What is promised by one is judged by the other. */
export function clockDifferenceMs(intervals: Intervals): number {
  return fenceMs(intervals);
}

/**
 * How long after an instant that one agent wrote another agent may rely on it that no write from before can arrive any
 * more: a write window, the time-out of its last write, and the difference of their clocks. Less than half a rotation
 * interval, so that it delays no rotation that is on time.
 */
export function settleMs(intervals: Intervals): number {
  return 2 * fenceMs(intervals) + clockDifferenceMs(intervals);
}

/**
 * How long after credentials ceased to be valid nothing can come of them any more, by whichever agent's clock: neither a
 * write of before, nor a connection whose client had logged in with them. That takes the difference of clocks and a
 * handshake, for which two windows and the longer of both are enough.
 */
export function aftermathMs(intervals: Intervals): number {
  return 2 * fenceMs(intervals) + Math.max(clockDifferenceMs(intervals), intervals.handshakeMs);
}

/**
 * When a client that claims now should claim again: half an interval after the next rotation, when its account has
 * become the standby and not yet been written again; never after the namespace's end.
 */
export function reclaimAtMs(
  record: { readonly nextRotationMs: number; readonly expiresMs: number },
  nowMs: number,
  intervals: Intervals,
): number {
  return Math.min(Math.max(record.nextRotationMs, nowMs) + intervals.rotationMs / 2, record.expiresMs);
}

/** When the deletion of a namespace starts: a little after `expires`, for clients whose clocks are behind. */
export function deletionStartsMs(expiresMs: number, intervals: Intervals): number {
  return expiresMs + Math.min(LONGEST_DELETION_DELAY_MS, intervals.rotationMs / 4);
}

/**
 * When the name of a deleted namespace may be used again, by whichever agent's clock: no late write or delete of the former
 * incarnation can arrive any more, and nobody who logged in before its end can open a connection, which the permissions of the next
 * incarnation would allow.
 */
export function reusableMs(deletedAtMs: number, intervals: Intervals): number {
  return deletedAtMs + aftermathMs(intervals);
}
