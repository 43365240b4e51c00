import type { Collection, Db } from 'mongodb';
import type { StoreIdentity } from '../store-identity.ts';
import { createDocumentMapping, type DocumentOf } from './mongodb-documents.ts';

/** The document with the identity of the store, the only one in its collection. */
type IdentityDocument = DocumentOf<StoreIdentity & { readonly id: string }, 'id'>;

const MAPPING = createDocumentMapping<StoreIdentity & { readonly id: string }, 'id'>('id', ['createdMs', 'retiredMs']);
const ID = 'identity';

/** The collection of the identity of a store. */
export function identitiesIn(db: Db): Collection<IdentityDocument> {
  return db.collection('store');
}

/** The identity of the store; undefined when it has none yet. */
export async function readMongoIdentity(db: Db): Promise<StoreIdentity | undefined> {
  const document = await identitiesIn(db).findOne({ _id: ID });
  if (document === null) return undefined;
  const { id: _, ...identity } = MAPPING.toItem(document);
  return identity;
}

/** The document of an identity. */
export function identityDocument(identity: StoreIdentity): IdentityDocument {
  return MAPPING.toDocument({ id: ID, ...identity });
}
