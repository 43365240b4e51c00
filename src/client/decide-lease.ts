import { parseInstant } from '../contract/fields.ts';
import type { Claim } from '../contract/methods.ts';
import type { LossReason } from './client-errors.ts';
import { jitteredBackoffMs } from './decide-retry.ts';

/** The latest successful claim of a lease, in ms since the epoch. */
export interface HeldClaim {
  readonly claimedMs: number;
  /** Until when its credentials work, at least. */
  readonly reclaimMs: number;
  /** When the namespace and everything it owns is deleted. */
  readonly expiresMs: number;
}

/** What a claim holds. The client reads its instants as those of its own clock. */
export function heldBy({ reclaimAt, expires }: Pick<Claim, 'reclaimAt' | 'expires'>, claimedMs: number): HeldClaim {
  return {
    claimedMs,
    reclaimMs: parseInstant(reclaimAt) ?? claimedMs,
    expiresMs: parseInstant(expires) ?? claimedMs,
  };
}

/** A failed renewal. */
export interface FailedRenewal {
  /** The code of the error. */
  readonly code: string;
  /** How often renewing has failed in a row, including this time. */
  readonly failures: number;
  /** Whether RabbitMQ refused the current credentials; undefined if they were not tried or it did not answer. */
  readonly credentialsRefused: boolean | undefined;
  /** The clock of this machine, in ms since the epoch. */
  readonly nowMs: number;
  /** How far that clock is ahead of the agent's, in ms, if the agent has reported it. */
  readonly aheadMs?: number | undefined;
  /** At least 0, less than 1. */
  readonly random: number;
}

/** What to do after a renewal has failed. */
export type AfterFailure =
  | { readonly next: 'claim'; readonly atMs: number }
  | { readonly next: 'lost'; readonly reason: LossReason };

// A lease renews when 5 to 10 % of the time until `reclaimAt` is left, which leaves room for retries. That is never before
// the rotation that makes new credentials: at least a third of this time is left then.
const EARLY_SHARE = 0.05;
const EARLY_JITTER_SHARE = 0.05;

/** Between two claims, in ms. With `reclaimAt` at a fixed `expires`, the pauses would become ever shorter. */
const MIN_PAUSE_MS = 1000;

const FIRST_PAUSE_MS = 1000;
const MAX_PAUSE_MS = 60_000;

/** When to claim again after a claim that succeeded. */
export function decideRenewal({ claimedMs, reclaimMs }: Omit<HeldClaim, 'expiresMs'>, random: number): number {
  const heldMs = Math.max(0, reclaimMs - claimedMs);
  const earlyMs = heldMs * (EARLY_SHARE + EARLY_JITTER_SHARE * random);
  return Math.max(claimedMs + MIN_PAUSE_MS, Math.ceil(reclaimMs - earlyMs));
}

/**
 * What to do after a failed renewal. A lease is lost only when its credentials can no longer be valid: the client lost the
 * scope, the namespace is being deleted or revoked, it expired, or, after `reclaimAt`, RabbitMQ refuses the credentials.
 * After every other failure, even an hour without an agent, the lease tries again.
 */
export function decideAfterFailure(held: HeldClaim, failed: FailedRenewal): AfterFailure {
  const { code, failures, nowMs, aheadMs = 0, random } = failed;
  // The claim's instants are by the agent's clock, and this one is known to be wrong.
  const agentMs = nowMs - aheadMs;
  if (code === 'InsufficientScopes') return { next: 'lost', reason: 'scopes' };
  if (code === 'RequestConflict') return { next: 'lost', reason: 'taken-away' };
  if (agentMs >= held.expiresMs) return { next: 'lost', reason: 'expired' };
  // Before `reclaimAt` the agent repairs an account that was changed by hand.
  if (failed.credentialsRefused === true && agentMs >= held.reclaimMs) return { next: 'lost', reason: 'refused' };
  const pauseMs = Math.max(MIN_PAUSE_MS / 2, pauseAfter(failures, random, held.reclaimMs - agentMs));
  // One last attempt when the namespace expires; then the lease is lost.
  return { next: 'claim', atMs: nowMs + Math.min(pauseMs, held.expiresMs - agentMs) };
}

function pauseAfter(failures: number, random: number, validMs: number): number {
  const pauseMs = jitteredBackoffMs(failures, random, FIRST_PAUSE_MS, MAX_PAUSE_MS);
  // Before `reclaimAt`, leave time for another attempt.
  return validMs > 0 ? Math.min(pauseMs, validMs / 2) : pauseMs;
}
