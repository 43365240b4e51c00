import type { VersionedCollection } from './versioned-collection.ts';

/** When agents saw an agent secret last, and when they began to miss it. Each instant is that of an observation. */
export interface SecretSighting {
  /** The id of the secret, which does not reveal it. */
  readonly secretId: string;
  /** See `VersionedCollection`. */
  readonly revision: number;
  /** When an agent recorded last that it has the secret, in ms since the epoch; null: none ever did. */
  readonly heldMs: number | null;
  /** When an agent first needed the secret and lacked it, since an agent had it last; null: none did. */
  readonly missingMs: number | null;
}

/** The sightings of agent secrets, by secretId. The same failures as `NamespaceStore`. */
export type SecretSightingStore = VersionedCollection<SecretSighting>;
