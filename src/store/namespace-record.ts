/**
 * - `provisioning`: recorded; its accounts may not work yet.
 * - `active`: its credentials work and are handed out.
 * - `expiring`: it is being deleted; nothing of it is handed out any more.
 * - `gone`: a tombstone. Readers see no namespace; writers see when the name may be used again.
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

/** What one of the two accounts of a namespace holds. */
export interface Slot {
  /** The generation whose password the account has; 0: the account was never made in this incarnation. */
  readonly generation: number;
  /** The id of the agent secret from which that password is derived; empty for generation 0. */
  readonly secretId: string;
  /** The latest `reclaimAt` handed out with that password, in ms since the epoch; 0: never handed out. */
  readonly promisedUntilMs: number;
}

/** A namespace as the store keeps it. Instants are ms since the epoch. It holds no secret. */
export interface NamespaceRecord {
  readonly namespace: string;
  /** Raised by one with every write; every write is a compare-and-set on it. The first write makes it 1. */
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
  /** Who is told about overgrown queues; never given out. */
  readonly contact: string | null;
  /** The Taskcluster clientId of the latest claim. */
  readonly claimedBy: string;
  /** Until then claims are refused; null when not revoked. */
  readonly revokedUntilMs: number | null;
  /** When it was last revoked; null: not in this incarnation. */
  readonly revokedMs: number | null;
  /**
   * Which set of permissions the accounts were given; see `PERMISSIONS_VERSION`. 0: an account is missing that the next
   * rotation makes.
   */
  readonly permissionsVersion: number;
  /** When its last deletion was done; null unless `gone`. */
  readonly deletedAtMs: number | null;
  /** Why it ends; null unless `expiring` or `gone`. */
  readonly endReason: EndReason | null;
  /** The `expiresMs` whose approach was told of; 0: none in this incarnation. */
  readonly expiryNotifiedForMs: number;
  /** When both accounts are to be compared with this record once more, after a revocation; null: they need not be. */
  readonly recheckAtMs: number | null;
}

/** `expired`: nobody claimed it again in time; `released`: its owner ended it. */
export type EndReason = 'expired' | 'released';

/** One use of a signature, kept until that signature can no longer be accepted. */
export interface NonceEntry {
  /** A hash of the Hawk id and the nonce. */
  readonly key: string;
  /** The reply address as the broker delivered it. */
  readonly replyAddress: string;
  readonly correlationId: string;
  /** A hash of the method and the body. */
  readonly digest: string;
  readonly firstSeenMs: number;
  readonly acceptableUntilMs: number;
  /** What the request did, as JSON, for methods that must not act twice; null until it is known. */
  readonly outcome: string | null;
}
