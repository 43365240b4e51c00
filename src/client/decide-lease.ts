import { backoffMs, elapsedMs, type Moment } from './time.ts';

/** What a claim promised. */
export interface LeaseClaim {
  /** When this life of the namespace began; another one means that its queues were deleted meanwhile. */
  readonly created: string;
  /** Until when the credentials work at least, in ms since the epoch, by the agent's clock. */
  readonly reclaimAtMs: number;
  /** When the namespace is deleted unless it is claimed again, in ms since the epoch, by the agent's clock. */
  readonly expiresMs: number;
}

/** Why a lease is lost. */
export type LossReason =
  /** The namespace is being deleted or was deleted a moment ago. */
  | 'ended'
  /** An operator made its credentials useless, and claims are refused for a time. */
  | 'revoked'
  /** It could not be claimed again before its `expires`. */
  | 'expired'
  /** It was deleted and made anew by a claim: its queues are gone. */
  | 'recreated';

/** What the decisions need to know of a failed claim. */
export interface LeaseFailure {
  readonly code: string;
  readonly retryable: boolean;
  readonly revoked: boolean;
}

/** `well`: claimed in time; `failing`, `lost`: what was told last, until a claim succeeds. */
export type LeaseHealth = 'well' | 'failing' | 'lost';

/** Where a lease stands. */
export interface LeaseState {
  readonly claim: LeaseClaim;
  readonly claimedAt: Moment;
  /** The next claim is due this long after that moment. */
  readonly due: { readonly since: Moment; readonly afterMs: number };
  /** Claims that failed in a row. */
  readonly failures: number;
  readonly health: LeaseHealth;
}

/** What to tell whoever holds the lease. */
export type LeaseNews =
  | { readonly type: 'renewed' }
  | { readonly type: 'failing' }
  | { readonly type: 'lost'; readonly reason: LossReason };

/** The state after something happened, and what to tell. */
export interface LeaseDecision {
  readonly state: LeaseState;
  readonly tell: readonly LeaseNews[];
}

/**
 * When to claim again, as a part of the time until reclaimAt. The agent promises credentials until half an interval
 * after the next rotation, so from two thirds on that rotation has been: an earlier claim would get the same credentials
 * and have to be repeated. Not later than this, so that the rest is there for trying again.
 */
const EARLIEST_PART = 0.7;
const PART_SPREAD = 0.1;

/** The least time between two claims that succeed, in ms, however short the agent's intervals are. */
const LEAST_PAUSE_MS = 250;

/**
 * The time between claims, in ms, where reclaimAt is over as it arrives: then this clock is ahead, nobody knows by how
 * much, and claiming at once again would never end.
 */
const PAUSE_OF_FAST_CLOCK_MS = 15_000;

const FIRST_RETRY_MS = 1000;
const LONGEST_RETRY_MS = 60_000;

/** The lease after its first claim. */
export function beginLease(claim: LeaseClaim, now: Moment, random: number): LeaseState {
  return {
    claim,
    claimedAt: now,
    due: { since: now, afterMs: renewAfterMs(claim, now, random) },
    failures: 0,
    health: 'well',
  };
}

function renewAfterMs({ reclaimAtMs }: LeaseClaim, now: Moment, random: number): number {
  const left = reclaimAtMs - now.wallMs;
  if (left <= 0) return PAUSE_OF_FAST_CLOCK_MS;
  return Math.max(LEAST_PAUSE_MS, left * (EARLIEST_PART + PART_SPREAD * random));
}

/** What to do now: claim, or wait this long and look again. */
export function lookAtLease(state: LeaseState, now: Moment): LeaseDecision & { due: boolean; waitMs: number } {
  const waitMs = state.due.afterMs - elapsedMs(state.due.since, now);
  const looked = decideHealth(state, now, undefined);
  if (waitMs <= 0) return { ...looked, due: true, waitMs: 0 };
  // What is told when a promise runs out while claims fail is told then, and not with the next claim.
  const promises = [untilMs(state, state.claim.reclaimAtMs, now), untilMs(state, state.claim.expiresMs, now)];
  const next = state.failures === 0 ? [] : promises.filter((ms) => ms > 0);
  return { ...looked, due: false, waitMs: Math.min(waitMs, ...next) };
}

/** After a claim that succeeded. */
export function leaseRenewed(state: LeaseState, claim: LeaseClaim, now: Moment, random: number): LeaseDecision {
  const recreated = claim.created !== state.claim.created;
  return {
    state: beginLease(claim, now, random),
    tell: [...(recreated ? [{ type: 'lost', reason: 'recreated' } as const] : []), { type: 'renewed' }],
  };
}

/** After a claim that failed. */
export function leaseFailed(state: LeaseState, failure: LeaseFailure, now: Moment, random: number): LeaseDecision {
  const failures = state.failures + 1;
  const due = { since: now, afterMs: backoffMs(failures, FIRST_RETRY_MS, LONGEST_RETRY_MS, random) };
  return decideHealth({ ...state, failures, due }, now, failure);
}

function decideHealth(state: LeaseState, now: Moment, failure: LeaseFailure | undefined): LeaseDecision {
  const reason = lossOf(state, now, failure);
  if (reason !== undefined && state.health !== 'lost') {
    return { state: { ...state, health: 'lost' }, tell: [{ type: 'lost', reason }] };
  }
  // A failure that lasts until somebody does something is told at once, while the credentials still work.
  const failing = failure?.retryable === false || untilMs(state, state.claim.reclaimAtMs, now) <= 0;
  if (state.failures > 0 && failing && state.health === 'well') {
    return { state: { ...state, health: 'failing' }, tell: [{ type: 'failing' }] };
  }
  return { state, tell: [] };
}

function lossOf(state: LeaseState, now: Moment, failure: LeaseFailure | undefined): LossReason | undefined {
  if (failure?.code === 'RequestConflict') return failure.revoked ? 'revoked' : 'ended';
  // Without a failure, a clock that was set forward is no reason: the claim that is due will tell.
  return state.failures > 0 && untilMs(state, state.claim.expiresMs, now) <= 0 ? 'expired' : undefined;
}

/** How long until an instant of the agent's clock, counted from the claim on, so that a clock set back hides nothing. */
function untilMs({ claimedAt }: LeaseState, instantMs: number, now: Moment): number {
  return instantMs - claimedAt.wallMs - elapsedMs(claimedAt, now);
}
