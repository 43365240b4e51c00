import type { Db } from 'mongodb';
import type { AgentRecord, AgentRecordStore } from '../agent-records.ts';
import type { StoreGate } from '../store-gate.ts';
import { createDocumentMapping, type DocumentOf } from './mongodb-documents.ts';
import { MongoVersionedCollection } from './mongodb-versioned-collection.ts';

type AgentDocument = DocumentOf<AgentRecord, 'instance'>;

/** More records are never kept: they are pruned every minute. */
const MAX_LISTED = 10_000;

/** The records of agents in MongoDB. */
export class MongoAgents extends MongoVersionedCollection<AgentRecord, AgentDocument> implements AgentRecordStore {
  constructor(db: Db, gate: StoreGate) {
    super(db, 'agents', gate, createDocumentMapping<AgentRecord, 'instance'>('instance', ['startedMs', 'seenMs']));
  }

  async list(): Promise<AgentRecord[]> {
    return await this.find({}, { _id: 1 }, MAX_LISTED);
  }
}
