import { WireError } from '../contract/wire-errors.ts';
import { parseInstant } from '../contract/fields.ts';
import type { MethodName } from '../contract/methods.ts';
import { NoReply } from './client-errors.ts';

/** The first pause before another try, in ms; each further one is twice as long, at most {@link LAST_PAUSE_MS}. */
const FIRST_PAUSE_MS = 250;
const LAST_PAUSE_MS = 5000;

/** One failed try of a request. */
export interface FailedTry {
  readonly error: unknown;
  readonly method: MethodName;
  /** How often it has failed by now, this try included. */
  readonly failures: number;
  /** How much of the time for the whole call is left, in ms. */
  readonly leftMs: number;
  /** The wall clock, to which the agent's instants are compared. */
  readonly nowMs: number;
  /** From 0 to just below 1. */
  readonly random: number;
}

/**
 * After how many ms the request is sent again, signed anew; undefined when it is not: another try could not succeed, or
 * not in time, or might do twice what must be done once.
 */
export function decideRetry({ error, method, failures, leftMs, nowMs, random }: FailedTry): number | undefined {
  if (!(error instanceof WireError) || !error.retryable) return undefined;
  // A second release or revocation could meet what somebody else has claimed since the first one was served.
  if (error instanceof NoReply && !isRepeatable(method)) return undefined;
  const pauseMs = Math.max(backoffMs(failures, random, FIRST_PAUSE_MS, LAST_PAUSE_MS), toldPauseMs(error, nowMs));
  return pauseMs < leftMs ? pauseMs : undefined;
}

/**
 * A pause that grows with each failure, between half and all of it by chance, so that many clients that failed together
 * do not come back together.
 *
 * @param failures how often it has failed by now, at least 1
 * @param random from 0 to just below 1
 */
export function backoffMs(failures: number, random: number, firstMs: number, lastMs: number): number {
  const fullMs = Math.min(lastMs, firstMs * 2 ** Math.min(failures - 1, 30));
  return fullMs * (0.5 + random / 2);
}

function isRepeatable(method: MethodName): boolean {
  return method !== 'release-namespace' && method !== 'revoke-namespace';
}

/** How long the agent says that it cannot succeed. */
function toldPauseMs({ details }: WireError, nowMs: number): number {
  const told = details?.['retryAt'] ?? details?.['revokedUntil'];
  const untilMs = typeof told === 'string' ? parseInstant(told) : undefined;
  return untilMs === undefined ? 0 : untilMs - nowMs;
}
