import type { Db } from 'mongodb';
import {
  countByState,
  HELD_STATES,
  type NamespaceRecord,
  type NamespaceState,
  type Slot,
} from '../namespace-record.ts';
import type { DueOptions, ListOptions, NamespaceStore } from '../store.ts';
import type { NonceWrite } from '../nonce-records.ts';
import type { StoreGate } from '../store-gate.ts';
import type { MongoNonces } from './mongodb-nonces.ts';
import { createDocumentMapping, type DocumentMapping, type DocumentOf } from './mongodb-documents.ts';
import { MongoVersionedCollection } from './mongodb-versioned-collection.ts';

type SlotDocument = Omit<Slot, 'promisedUntilMs'> & { readonly promisedUntil: Date };

type NamespaceDocument = Omit<DocumentOf<NamespaceRecord, 'namespace'>, 'slots'> & {
  readonly slots: readonly [SlotDocument, SlotDocument];
};

/** Namespaces in MongoDB. */
export class MongoNamespaces
  extends MongoVersionedCollection<NamespaceRecord, NamespaceDocument>
  implements NamespaceStore
{
  readonly #nonces: Pick<MongoNonces, 'keep'>;

  constructor(db: Db, gate: StoreGate, nonces: Pick<MongoNonces, 'keep'>) {
    super(db, 'namespaces', gate, NAMESPACE_DOCUMENTS);
    this.#nonces = nonces;
  }

  override async insert(record: NamespaceRecord, nonce?: NonceWrite): Promise<boolean> {
    return await this.#writeWith(nonce, () => super.insert(record));
  }

  override async replace(record: NamespaceRecord, expectedRevision: number, nonce?: NonceWrite): Promise<boolean> {
    return await this.#writeWith(nonce, () => super.replace(record, expectedRevision));
  }

  /** A transaction would need a replica set. The nonce comes first, unless the order is free. */
  async #writeWith(nonce: NonceWrite | undefined, write: () => Promise<boolean>): Promise<boolean> {
    if (nonce === undefined) return await write();
    if (nonce.isOrderFree) {
      const [isKept, isWritten] = await Promise.all([this.#nonces.keep(nonce.entry), write()]);
      return isKept && isWritten;
    }
    return (await this.#nonces.keep(nonce.entry)) && (await write());
  }

  async list({ after, limit, states }: ListOptions): Promise<NamespaceRecord[]> {
    const filter = {
      ...(after === undefined ? {} : { _id: { $gt: after } }),
      ...(states === undefined ? {} : { state: { $in: [...states] } }),
    };
    return await this.find(filter, { _id: 1 }, limit);
  }

  async dueForRotation(options: DueOptions): Promise<NamespaceRecord[]> {
    return await this.#due('nextRotation', options);
  }

  async dueForExpiry(options: DueOptions): Promise<NamespaceRecord[]> {
    return await this.#due('expires', options);
  }

  async countHeldBy(clientId: string): Promise<number> {
    const filter = { claimedBy: clientId, state: { $in: [...HELD_STATES] } };
    return await this.gate.run(() => this.documents.countDocuments(filter));
  }

  async countByState(): Promise<Record<NamespaceState, number>> {
    return await this.gate.run(() => countByState((state) => this.documents.countDocuments({ state })));
  }

  async #due(field: 'nextRotation' | 'expires', { states, beforeMs, limit }: DueOptions): Promise<NamespaceRecord[]> {
    const filter = { state: { $in: [...states] }, [field]: { $lte: new Date(beforeMs) } };
    return await this.find(filter, { [field]: 1, _id: 1 }, limit);
  }
}

const FIELDS = createDocumentMapping<NamespaceRecord, 'namespace'>('namespace', [
  'createdMs',
  'claimedMs',
  'expiresMs',
  'nextRotationMs',
  'revokedUntilMs',
  'revokedMs',
  'deletedAtMs',
  'expiryAnnouncedForMs',
  'recheckAtMs',
]);

/** Namespaces as documents. */
export const NAMESPACE_DOCUMENTS: DocumentMapping<NamespaceRecord, NamespaceDocument> = {
  toDocument: ({ slots: [first, second], ...record }) => ({
    ...FIELDS.toDocument({ ...record, slots: [first, second] }),
    slots: [toSlotDocument(first), toSlotDocument(second)],
  }),
  toItem: ({ slots: [first, second], ...document }) => ({
    ...FIELDS.toItem({ ...document, slots: [toSlot(first), toSlot(second)] }),
  }),
};

function toSlotDocument({ promisedUntilMs, ...slot }: Slot): SlotDocument {
  return { ...slot, promisedUntil: new Date(promisedUntilMs) };
}

function toSlot({ promisedUntil, ...slot }: SlotDocument): Slot {
  return { ...slot, promisedUntilMs: promisedUntil.getTime() };
}
