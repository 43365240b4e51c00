import { WireError } from '../contract/wire-errors.ts';
import { parseInstant } from '../contract/fields.ts';
import { isRepeatable, type MethodName } from '../contract/methods.ts';
import { NoReply } from './client-errors.ts';

/** The pause before the first retry, in ms. It doubles with each failure, up to {@link MAX_PAUSE_MS}. */
const FIRST_PAUSE_MS = 250;
const MAX_PAUSE_MS = 5000;

/** One failed attempt to send a request and get its reply. */
export interface FailedAttempt {
  readonly error: unknown;
  readonly method: MethodName;
  /** How often it has failed, including this attempt. */
  readonly failures: number;
  /** The time left for the whole call, in ms. */
  readonly leftMs: number;
  /** The wall clock, to compare with the agent's instants. */
  readonly nowMs: number;
  /** At least 0, less than 1. */
  readonly random: number;
}

/**
 * The pause before the request is sent again with a new signature, in ms. Undefined if it is not: a retry could not succeed,
 * or not in time, or might do twice what must be done once.
 */
export function decideRetry({ error, method, failures, leftMs, nowMs, random }: FailedAttempt): number | undefined {
  if (!(error instanceof WireError) || !error.retryable) return undefined;
  // A second release or revocation could hit a namespace that another client claimed after the first one was served.
  if (error instanceof NoReply && !isRepeatable(method)) return undefined;
  const pauseMs = Math.max(
    jitteredBackoffMs(failures, random, FIRST_PAUSE_MS, MAX_PAUSE_MS),
    requestedPauseMs(error, nowMs),
  );
  return pauseMs < leftMs ? pauseMs : undefined;
}

/**
 * Exponential backoff with jitter between half of the pause and all of it, so that clients that failed at the same time do
 * not all retry at the same time.
 *
 * @param failures how often it has failed, at least 1
 * @param random at least 0, less than 1
 */
export function jitteredBackoffMs(failures: number, random: number, firstMs: number, maxMs: number): number {
  const fullMs = Math.min(maxMs, firstMs * 2 ** Math.min(failures - 1, 30));
  return fullMs * (0.5 + random / 2);
}

/** How long a retry cannot succeed, according to the agent. */
function requestedPauseMs({ details }: WireError, nowMs: number): number {
  const seconds = details?.['retryAfterSeconds'];
  if (typeof seconds === 'number') return seconds * 1000;
  const instant = details?.['retryAt'] ?? details?.['revokedUntil'];
  const untilMs = typeof instant === 'string' ? parseInstant(instant) : undefined;
  return untilMs === undefined ? 0 : untilMs - nowMs;
}
