import type { Config } from '../config/config.ts';

/** The intervals from which all other times are computed, in ms. */
export interface Intervals {
  readonly rotationMs: number;
  readonly defaultLifetimeMs: number;
  readonly maxLifetimeMs: number;
  /**
   * For how long after a login a connection may still open. RabbitMQ checks a password once, at the login, and counts
   * its `handshake_timeout` from the beginning of the connection.
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

/** The longest write window, whatever the rotation interval, in ms. */
const MAX_FENCE_MS = 10_000;

/** The longest time from `expires` to the deletion, in ms. */
const MAX_DELETION_DELAY_MS = 60_000;

/** At most this part of the interval is added to it, so that namespaces claimed together are not rotated together. */
const MAX_JITTER = 0.1;

/**
 * The fence F, in ms: a password is sent to the broker at most F after its record was read, with a time-out of F. So 2F
 * after the reading no write that is based on it can arrive any more. An eighth of the interval leaves room for two
 * windows and a clock difference in the half interval between the last `reclaimAt` and the next write to that account.
 */
export function fenceMs(intervals: Intervals): number {
  return Math.min(MAX_FENCE_MS, intervals.rotationMs / 8);
}

/** By how much the clocks of two agents may differ, in ms. One agent judges what another one promised. */
export function clockDifferenceMs(intervals: Intervals): number {
  return fenceMs(intervals);
}

/**
 * The settlement, in ms: this long after an instant that one agent wrote, another agent may rely on it that no earlier
 * write can arrive any more. That is a write window, the time-out of its last write, and the difference of their
 * clocks. It is less than half a rotation interval, so that it delays no rotation that is on time.
 */
export function settlementMs(intervals: Intervals): number {
  return 2 * fenceMs(intervals) + clockDifferenceMs(intervals);
}

/**
 * How long after credentials became invalid they can have no effect any more, in ms, by the clock of any agent: neither
 * an earlier write can arrive, nor a connection open whose client logged in with them. That takes the difference of two
 * clocks and a handshake, for which two windows and the longer of both are enough.
 */
export function credentialSettlementMs(intervals: Intervals): number {
  return 2 * fenceMs(intervals) + Math.max(clockDifferenceMs(intervals), intervals.handshakeMs);
}

/** When a namespace that was rotated now is rotated next, in ms since the epoch. */
export function nextRotationMs(nowMs: number, intervals: Intervals, random: () => number): number {
  return nowMs + intervals.rotationMs * (1 + MAX_JITTER * random());
}

/**
 * When a client that claims now should claim again: half an interval after the next rotation, when its account is the
 * standby one and not yet written again; never after the namespace expires.
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
  return expiresMs + Math.min(MAX_DELETION_DELAY_MS, intervals.rotationMs / 4);
}

/**
 * When the name of a deleted namespace may be claimed again, by the clock of any agent: no late write or delete of the
 * former incarnation can arrive any more, and no client that logged in before the deletion can open a connection, which
 * the permissions of the next incarnation would allow.
 */
export function nameReusableMs(deletedAtMs: number, intervals: Intervals): number {
  return deletedAtMs + credentialSettlementMs(intervals);
}
