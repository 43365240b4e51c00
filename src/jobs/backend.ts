import { createHash } from 'node:crypto';
import type { AgendaBackend } from 'agenda';
import type { Db } from 'mongodb';
import type { Store } from '../store/store.ts';
import { createMemoryBackend } from './memory-jobs.ts';

/** Where Agenda keeps its jobs. */
export interface JobBackend {
  readonly agenda: AgendaBackend;
  /**
   * Sees to it that there is a recurring job with this interval. One that is new is due now. One that waits for an instant
   * which is further away than its interval and its longest pause explain, or is locked from such an instant, was written
   * by a clock that was wrong: it is due now as well. Any other is left as it is, its lock too.
   *
   * @param longestMs the longest pause that a run asks for; `everyMs` when absent
   */
  keepRecurring(name: string, everyMs: number, longestMs?: number): Promise<void>;
}

const COLLECTION = 'jobs';
const DUPLICATE_KEY = 11_000;

/** More than the clocks of agents may differ, in ms. */
const MOST_AHEAD_MS = 30_000;

/** In the agent's own database where it has one, and else in memory: an embedded store has one agent. */
export async function openJobBackend(store: Pick<Store, 'kind'> & { readonly db?: Db }): Promise<JobBackend> {
  return store.db === undefined ? memoryBackend() : await mongoBackend(store.db);
}

function memoryBackend(): JobBackend {
  const agenda = createMemoryBackend();
  return {
    agenda,
    async keepRecurring(name, everyMs, longestMs = everyMs) {
      agenda.keepRecurring(name, everyMs, { lockMs: MOST_AHEAD_MS, runMs: latestRunMs(everyMs, longestMs) });
    },
  };
}

/**
 * Agenda's own way to set up a recurring job clears the lock of one that runs, and two agents that do it at once make two:
 * nothing there is unique but the id. So the id is derived from the name.
 */
async function mongoBackend(db: Db): Promise<JobBackend> {
  // With an embedded store MongoDB's driver is not even loaded.
  const [{ MongoBackend }, { ObjectId: Id }] = await Promise.all([
    import('@agendajs/mongo-backend'),
    import('mongodb'),
  ]);
  // A handful of documents needs no index.
  const agenda = new MongoBackend({ mongo: db, collection: COLLECTION, ensureIndex: false });
  const jobs = db.collection(COLLECTION);
  return {
    agenda,
    async keepRecurring(name, everyMs, longestMs = everyMs) {
      const _id = new Id(createHash('sha256').update(name).digest('hex').slice(0, 24));
      const now = new Date();
      try {
        const fresh = { name, type: 'normal', priority: 0, data: {}, nextRunAt: now, repeatInterval: everyMs };
        await jobs.insertOne({ _id, ...fresh, lockedAt: null });
        return;
      } catch (error) {
        if (!(error instanceof Error && 'code' in error && error.code === DUPLICATE_KEY)) throw error;
      }
      await jobs.updateOne({ _id, repeatInterval: { $ne: everyMs } }, { $set: { repeatInterval: everyMs } });
      const latestLock = new Date(now.getTime() + MOST_AHEAD_MS);
      await jobs.updateOne({ _id, lockedAt: { $gt: latestLock } }, { $set: { lockedAt: null } });
      const latestRun = new Date(now.getTime() + latestRunMs(everyMs, longestMs));
      const isWrong = { $or: [{ nextRunAt: null }, { nextRunAt: { $gt: latestRun } }] };
      await jobs.updateOne({ _id, lockedAt: null, ...isWrong }, { $set: { nextRunAt: now } });
    },
  };
}

/** How far away the next run may be, in ms. */
function latestRunMs(everyMs: number, longestMs: number): number {
  return Math.max(everyMs, longestMs) + MOST_AHEAD_MS;
}
