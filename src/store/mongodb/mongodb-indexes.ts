import type { Collection, Db, Document } from 'mongodb';
import type { StoreGate } from '../store-gate.ts';

/** The fields of an index, in their order. */
type IndexFields = Readonly<Record<string, 1>>;

/** Every index of the store, by collection and name. */
export const MONGODB_INDEXES: Readonly<Record<string, Readonly<Record<string, IndexFields>>>> = {
  // The state comes first, so that a search for active records skips the tombstones.
  namespaces: {
    'by-next-rotation': { state: 1, nextRotation: 1, _id: 1 },
    'by-expires': { state: 1, expires: 1, _id: 1 },
    'by-holder': { claimedBy: 1, state: 1 },
  },
  nonces: { 'by-acceptable-until': { acceptableUntil: 1 } },
  notices: {
    'by-next-attempt': { state: 1, nextAttempt: 1, _id: 1 },
    'by-settled': { settled: 1 },
  },
  audit: {
    'by-time': { at: 1, _id: 1 },
    'by-namespace': { namespace: 1, at: 1, _id: 1 },
  },
};

/** Creates the indexes of the collection; existing ones stay. */
export async function makeIndexes<Schema extends Document>(
  documents: Collection<Schema>,
  gate: StoreGate,
): Promise<void> {
  // One call for each: FerretDB fails when two indexes of one call exist already.
  for (const [name, fields] of Object.entries(MONGODB_INDEXES[documents.collectionName] ?? {})) {
    await gate.run(() => documents.createIndex({ ...fields }, { name }));
  }
}

/** An index that is missing or differs. */
export interface IndexFault {
  readonly collection: string;
  readonly index: string;
  /** `missing`: every search reads the whole collection; `stale`: an index of this name has other fields. */
  readonly fault: 'missing' | 'stale';
}

/** Compares the existing indexes with the required ones, and changes nothing. */
export async function findIndexFaults(db: Db): Promise<IndexFault[]> {
  const present = new Set((await db.listCollections({}, { nameOnly: true }).toArray()).map(({ name }) => name));
  const faults: IndexFault[] = [];
  for (const [collection, wanted] of Object.entries(MONGODB_INDEXES)) {
    const held: Document[] = present.has(collection) ? await db.collection(collection).listIndexes().toArray() : [];
    const byName = new Map(held.map((index) => [String(index['name']), index['key'] as object]));
    for (const [index, fields] of Object.entries(wanted)) {
      const key = byName.get(index);
      if (key === undefined) faults.push({ collection, index, fault: 'missing' });
      else if (JSON.stringify(key) !== JSON.stringify(fields)) faults.push({ collection, index, fault: 'stale' });
    }
  }
  return faults;
}
