import { backoffMs } from './decide-retry.ts';

/** The latest successful claim of a lease, in ms since the epoch. */
export interface HeldClaim {
  readonly claimedMs: number;
  /** Until when its credentials are promised to work. */
  readonly reclaimMs: number;
  /** When the namespace and all that it owns is deleted. */
  readonly expiresMs: number;
}

/** What came of an attempt to renew. */
export interface FailedRenewal {
  /** The code of the error. */
  readonly code: string;
  /** How often renewing has failed since it last succeeded, this time included. */
  readonly failures: number;
  /** Whether RabbitMQ refused the credentials that are held; undefined when it was not asked or did not answer. */
  readonly credentialsRefused: boolean | undefined;
  /** By the clock of this machine, in ms since the epoch. */
  readonly nowMs: number;
  /** By how many ms that clock is ahead of the agent's, where the agent has said so. */
  readonly aheadMs?: number | undefined;
  /** From 0 to just below 1. */
  readonly random: number;
}

/** Why the credentials of a lease can no longer be valid. */
export type LossReason = 'scopes' | 'taken-away' | 'expired' | 'refused';

/** What to do after a renewal has failed. */
export type AfterFailure =
  | { readonly next: 'claim'; readonly atMs: number }
  | { readonly next: 'lost'; readonly reason: LossReason };

// Renewed early by 5 to 10 percent of the time for which the credentials were given: so there is time for more tries
// within what was promised. Never earlier than the rotation that gives new credentials: that is a third of this time
// before `reclaimAt` at least.
const EARLY_SHARE = 0.05;
const EARLY_JITTER_SHARE = 0.05;

/** Between two claims in a row, in ms: where `reclaimAt` stands at a fixed `expires`, they would come ever closer. */
const LEAST_PAUSE_MS = 1000;

const FIRST_PAUSE_MS = 1000;
const LAST_PAUSE_MS = 60_000;

/** When to claim again after a claim that succeeded. */
export function decideRenewal({ claimedMs, reclaimMs }: Omit<HeldClaim, 'expiresMs'>, random: number): number {
  const heldMs = Math.max(0, reclaimMs - claimedMs);
  const earlyMs = heldMs * (EARLY_SHARE + EARLY_JITTER_SHARE * random);
  return Math.max(claimedMs + LEAST_PAUSE_MS, Math.ceil(reclaimMs - earlyMs));
}

/**
 * What to do after a claim that failed. A lease is given up only when what it holds can no longer be valid: the scope
 * is gone, the namespace is being deleted or revoked, its time is over, or, after `reclaimAt`, RabbitMQ refuses the
 * credentials. Everything else, an hour without an agent included, is tried again.
 */
export function decideAfterFailure(held: HeldClaim, failed: FailedRenewal): AfterFailure {
  const { code, failures, nowMs, aheadMs = 0, random } = failed;
  // What is held is promised by the agent's clock, and this one is known to be wrong.
  const agentMs = nowMs - aheadMs;
  if (code === 'InsufficientScopes') return { next: 'lost', reason: 'scopes' };
  if (code === 'RequestConflict') return { next: 'lost', reason: 'taken-away' };
  if (agentMs >= held.expiresMs) return { next: 'lost', reason: 'expired' };
  // Before that they are promised: whoever changed the account by hand, the agent puts it right.
  if (failed.credentialsRefused === true && agentMs >= held.reclaimMs) return { next: 'lost', reason: 'refused' };
  const pauseMs = Math.max(LEAST_PAUSE_MS / 2, pauseAfter(failures, random, held.reclaimMs - agentMs));
  // At the end of its time it is looked at once more: then it is lost.
  return { next: 'claim', atMs: nowMs + Math.min(pauseMs, held.expiresMs - agentMs) };
}

function pauseAfter(failures: number, random: number, promisedMs: number): number {
  const pauseMs = backoffMs(failures, random, FIRST_PAUSE_MS, LAST_PAUSE_MS);
  // As long as the promise lasts, another try must fit into it.
  return promisedMs > 0 ? Math.min(pauseMs, promisedMs / 2) : pauseMs;
}
