import type { Collection, Db, Filter, OptionalUnlessRequiredId, Sort } from 'mongodb';
import type { StoreGate } from '../store-gate.ts';
import { requireRevision, type VersionedCollection } from '../versioned-collection.ts';
import type { DocumentMapping } from './mongodb-documents.ts';
import { isDuplicateKey } from './mongodb-errors.ts';
import { makeIndexes } from './mongodb-indexes.ts';

interface VersionedDocument {
  readonly _id: string;
  readonly revision: number;
}

/** Records with a revision in MongoDB. A compare-and-set is one write whose filter holds the `_id` and the revision. */
export class MongoVersionedCollection<Item extends { readonly revision: number }, Document extends VersionedDocument>
  implements VersionedCollection<Item>
{
  protected readonly gate: StoreGate;
  // Private, because an inspector that shows it shows the client, and with it the password.
  readonly #documents: Collection<Document>;
  readonly #mapping: DocumentMapping<Item, Document>;

  constructor(db: Db, name: string, gate: StoreGate, mapping: DocumentMapping<Item, Document>) {
    this.gate = gate;
    this.#documents = db.collection(name);
    this.#mapping = mapping;
  }

  protected get documents(): Collection<Document> {
    return this.#documents;
  }

  /** Creates the indexes of the collection; existing ones stay. */
  async prepare(): Promise<void> {
    await makeIndexes(this.#documents, this.gate);
  }

  async get(id: string): Promise<Item | undefined> {
    return await this.gate.run(async () => {
      const document = await this.#documents.findOne(idIs(id));
      return document === null ? undefined : this.#mapping.toItem(document as Document);
    });
  }

  async insert(item: Item): Promise<boolean> {
    const document = this.#mapping.toDocument(item);
    const { _id } = document;
    requireRevision(item, 1, _id);
    return await this.gate.run(async () => {
      try {
        await this.#documents.insertOne(document as OptionalUnlessRequiredId<Document>);
        return true;
      } catch (error) {
        if (isDuplicateKey(error)) return false;
        throw error;
      }
    });
  }

  async replace(item: Item, expectedRevision: number): Promise<boolean> {
    const { _id, ...document } = this.#mapping.toDocument(item);
    requireRevision(item, expectedRevision + 1, _id);
    return await this.gate.run(async () => {
      const result = await this.#documents.replaceOne(idIs(_id, expectedRevision), document);
      return result.matchedCount === 1;
    });
  }

  async remove(id: string, expectedRevision: number): Promise<boolean> {
    return await this.gate.run(async () => {
      const result = await this.#documents.deleteOne(idIs(id, expectedRevision));
      return result.deletedCount === 1;
    });
  }

  /** Returns the items in the order of their ids, those after `after` only. */
  protected async findAfter(after: string | undefined, limit: number): Promise<Item[]> {
    const filter = after === undefined ? {} : { _id: { $gt: after } };
    return await this.find(filter as Filter<Document>, { _id: 1 }, limit);
  }

  protected async find(filter: Filter<Document>, sort: Sort, limit: number): Promise<Item[]> {
    return await this.gate.run(async () => {
      // To MongoDB a limit of 0 is none at all.
      if (limit <= 0) return [];
      const found = await this.#documents.find(filter, { sort, limit }).toArray();
      return found.map((document) => this.#mapping.toItem(document as Document));
    });
  }
}

function idIs<Document extends VersionedDocument>(id: string, revision?: number): Filter<Document> {
  return { _id: id, ...(revision === undefined ? {} : { revision }) } as Filter<Document>;
}
