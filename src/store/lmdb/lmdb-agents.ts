import type { RootDatabase } from 'lmdb';
import type { AgentRecord, AgentRecordStore } from '../agent-records.ts';
import type { StoreGate } from '../store-gate.ts';
import { LmdbVersionedCollection } from './lmdb-versioned-collection.ts';

/** The records of agents in LMDB: of the one that runs, and of earlier ones that were killed. */
export class LmdbAgents extends LmdbVersionedCollection<AgentRecord> implements AgentRecordStore {
  constructor(root: RootDatabase, gate: StoreGate) {
    super(root, 'agents', gate);
  }

  protected idOf({ instance }: AgentRecord): string {
    return instance;
  }

  protected updateIndexes(): void {
    // There are none: all are listed.
  }

  async list(): Promise<AgentRecord[]> {
    return await this.listAfter(undefined, Infinity);
  }
}
