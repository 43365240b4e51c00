import type { RootDatabase } from 'lmdb';
import type { SecretSighting, SecretSightingStore } from '../secret-records.ts';
import type { StoreGate } from '../store-gate.ts';
import { LmdbVersionedCollection } from './lmdb-versioned-collection.ts';

/** The sightings of agent secrets in LMDB. */
export class LmdbSecretSightings extends LmdbVersionedCollection<SecretSighting> implements SecretSightingStore {
  constructor(root: RootDatabase, gate: StoreGate) {
    super(root, 'secret-sightings', gate);
  }

  protected idOf({ secretId }: SecretSighting): string {
    return secretId;
  }

  protected updateIndexes(): void {
    // There are none: each is read by its id.
  }
}
