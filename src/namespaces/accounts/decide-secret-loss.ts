import type { SecretSighting } from '../../store/secret-records.ts';
import type { Intervals } from '../timing.ts';

/** How often an agent records which secrets it has, in ms: several times before another one may take a secret for lost. */
export function recordSecretsEveryMs({ rotationMs }: Pick<Intervals, 'rotationMs'>): number {
  return rotationMs / 4;
}

/** The sighting to write by an agent that has a secret; undefined: nothing new. */
export function afterHeld(
  seen: SecretSighting | undefined,
  secretId: string,
  nowMs: number,
  intervals: Pick<Intervals, 'rotationMs'>,
): SecretSighting | undefined {
  const heldMs = seen?.heldMs ?? null;
  // Several agents record it: one of them is enough.
  const isRecent = heldMs !== null && nowMs - heldMs < recordSecretsEveryMs(intervals) / 2;
  if (isRecent && seen?.missingMs === null) return undefined;
  return { secretId, revision: (seen?.revision ?? 0) + 1, heldMs: Math.max(heldMs ?? 0, nowMs), missingMs: null };
}

/** The sighting to write by an agent that needs a secret and lacks it; undefined: nothing new. */
export function afterMissing(
  seen: SecretSighting | undefined,
  secretId: string,
  nowMs: number,
): SecretSighting | undefined {
  if (seen === undefined) return { secretId, revision: 1, heldMs: null, missingMs: nowMs };
  return seen.missingMs === null ? { ...seen, revision: seen.revision + 1, missingMs: nowMs } : undefined;
}

/**
 * Since when a secret is lost, in ms since the epoch; undefined: an agent may still have it. A time without agents proves
 * nothing, so that it counts from when an agent missed the secret. It takes two rotation intervals: in that time an agent
 * that has it records so, and agents rotate active namespaces to another secret.
 */
export function lostSinceMs(
  seen: SecretSighting | undefined,
  nowMs: number,
  { rotationMs }: Pick<Intervals, 'rotationMs'>,
): number | undefined {
  const missingMs = seen?.missingMs ?? null;
  return missingMs !== null && nowMs - missingMs >= 2 * rotationMs ? missingMs : undefined;
}
