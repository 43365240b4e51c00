import type { Db } from 'mongodb';
import type { SecretSighting, SecretSightingStore } from '../secret-records.ts';
import type { StoreGate } from '../store-gate.ts';
import { createDocumentMapping, type DocumentOf } from './mongodb-documents.ts';
import { MongoVersionedCollection } from './mongodb-versioned-collection.ts';

type SecretSightingDocument = DocumentOf<SecretSighting, 'secretId'>;

/** The sightings of agent secrets in MongoDB. */
export class MongoSecretSightings
  extends MongoVersionedCollection<SecretSighting, SecretSightingDocument>
  implements SecretSightingStore
{
  constructor(db: Db, gate: StoreGate) {
    super(
      db,
      'secretSightings',
      gate,
      createDocumentMapping<SecretSighting, 'secretId'>('secretId', ['heldMs', 'missingMs']),
    );
  }
}
