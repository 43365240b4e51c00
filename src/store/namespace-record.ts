import type { ClaimedLimits } from '../contract/queue-limits-field.ts';

/**
 * - `provisioning`: recorded; its accounts may not work yet.
 * - `active`: its credentials work and are handed out.
 * - `expiring`: it is being deleted; its credentials are no longer handed out.
 * - `deleted`: a tombstone. Readers see no namespace; writers see when the name may be used again.
 */
export const NAMESPACE_STATES = ['provisioning', 'active', 'expiring', 'deleted'] as const;

/** A state of {@link NAMESPACE_STATES}. */
export type NamespaceState = (typeof NAMESPACE_STATES)[number];

/** The states of a namespace that a client holds. */
export const HELD_STATES: readonly NamespaceState[] = ['provisioning', 'active'];

/** Counts the records of each state with `count`. */
export async function countByState(
  count: (state: NamespaceState) => number | Promise<number>,
): Promise<Record<NamespaceState, number>> {
  const counts = await Promise.all(NAMESPACE_STATES.map(async (state) => [state, await count(state)] as const));
  return Object.fromEntries(counts) as Record<NamespaceState, number>;
}

/** One of the two accounts of a namespace. */
export interface Slot {
  /** The generation whose password the account has; 0: the account was never created in this incarnation. */
  readonly generation: number;
  /** The id of the agent secret from which that password is derived; empty for generation 0. */
  readonly secretId: string;
  /** The latest `reclaimAt` handed out with that password, in ms since the epoch; 0: never handed out. */
  readonly promisedUntilMs: number;
}

/** A namespace as the store keeps it. Instants are ms since the epoch. It holds no secret. */
export interface NamespaceRecord {
  readonly namespace: string;
  /** See `VersionedCollection`. */
  readonly revision: number;
  readonly state: NamespaceState;
  /** 16 random bytes in base64url, new for every incarnation: a name claimed again never gets an old password. */
  readonly incarnation: string;
  /** Counts rotations from 1, a revocation as two; odd: slot 1 is active, even: slot 2. */
  readonly generation: number;
  /** Slot 1 and slot 2. */
  readonly slots: readonly [Slot, Slot];
  /** The id of the agent secret for the next generation, fixed one write ahead. */
  readonly nextSecretId: string;
  readonly createdMs: number;
  readonly expiresMs: number;
  readonly nextRotationMs: number;
  /** Where notices about overgrown queues go, in the form of a claim; never returned to clients. */
  readonly contact: string | null;
  /** The limits for its queues that a claim asked for, in place of those of the rules; absent: none. */
  readonly queueLimits?: ClaimedLimits;
  /** The Taskcluster clientId of the latest claim. */
  readonly claimedBy: string;
  /** When that claim was made; absent: by an agent that did not record it. */
  readonly claimedMs?: number;
  /** Until when claims are refused; null when they are not. */
  readonly revokedUntilMs: number | null;
  /** When it was last revoked; null: not in this incarnation. */
  readonly revokedMs: number | null;
  /** The `PERMISSIONS_VERSION` that the accounts were given; 0: an account is missing, which the next rotation creates. */
  readonly permissionsVersion: number;
  /** When its deletion was completed; null unless `deleted`. */
  readonly deletedAtMs: number | null;
  /** Null unless `expiring` or `deleted`. */
  readonly deletionReason: DeletionReason | null;
  /** What its deletion waits for, as it was found last; absent: nothing. */
  readonly deletionBlock?: DeletionBlock;
  /** The `expiresMs` that the latest `namespace.expiring` event announced; 0: none in this incarnation. */
  readonly expiryAnnouncedForMs: number;
  /** When both accounts are compared with this record again, after a revocation; null: never. */
  readonly recheckAtMs: number | null;
}

/** A queue that is not deleted now: its node is down, or an operator exempted it until an instant, in ISO 8601. */
export type DeletionBlock =
  | { readonly queue: string; readonly node: string }
  | { readonly queue: string; readonly exemptUntil: string };

/** `expired`: no client claimed it again in time; `released`: its owner released it. */
export type DeletionReason = 'expired' | 'released';
