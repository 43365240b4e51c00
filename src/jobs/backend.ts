import { createHash } from 'node:crypto';
import type { AgendaBackend } from 'agenda';
import type { Db } from 'mongodb';
import type { Store } from '../store/store.ts';
import { createMemoryBackend } from './memory-jobs.ts';

/** Where Agenda keeps its jobs. */
export interface JobBackend {
  readonly agenda: AgendaBackend;
  /** Adds a recurring job that is due now, unless there is one; sets its interval where it has another. */
  addRecurring(name: string, everyMs: number): Promise<void>;
}

const COLLECTION = 'jobs';
const DUPLICATE_KEY = 11_000;

/** In the agent's own database where it has one, and else in memory: an embedded store has one agent. */
export async function openJobBackend(store: Pick<Store, 'kind'> & { readonly db?: Db }): Promise<JobBackend> {
  return store.db === undefined ? memoryBackend() : await mongoBackend(store.db);
}

function memoryBackend(): JobBackend {
  const agenda = createMemoryBackend();
  return {
    agenda,
    async addRecurring(name, everyMs) {
      await agenda.repository.saveJob(
        {
          name,
          type: 'normal',
          priority: 0,
          data: {},
          nextRunAt: new Date(),
          repeatInterval: everyMs,
          unique: {},
          uniqueOpts: { insertOnly: true },
        },
        undefined,
      );
    },
  };
}

/**
 * Agenda's own way to set up a recurring job clears the lock of one that runs, and two agents that do it at once make two:
 * nothing there is unique but the id. So the id is derived from the name.
 */
async function mongoBackend(db: Db): Promise<JobBackend> {
  // With an embedded store MongoDB's driver is not even loaded.
  const { MongoBackend } = await import('@agendajs/mongo-backend');
  // A handful of documents needs no index.
  const agenda = new MongoBackend({ mongo: db, collection: COLLECTION, ensureIndex: false });
  const jobs = db.collection(COLLECTION);
  return {
    agenda,
    async addRecurring(name, everyMs) {
      const { ObjectId: Id } = await import('mongodb');
      const _id = new Id(createHash('sha256').update(name).digest('hex').slice(0, 24));
      try {
        await jobs.insertOne({
          _id,
          name,
          type: 'normal',
          priority: 0,
          data: {},
          nextRunAt: new Date(),
          repeatInterval: everyMs,
          lockedAt: null,
        });
      } catch (error) {
        if (!(error instanceof Error && 'code' in error && error.code === DUPLICATE_KEY)) throw error;
        await jobs.updateOne({ _id, repeatInterval: { $ne: everyMs } }, { $set: { repeatInterval: everyMs } });
      }
    },
  };
}
