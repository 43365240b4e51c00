import { createHash } from 'node:crypto';
import { MongoBackend } from '@agendajs/mongo-backend';
import { type Db, ObjectId } from 'mongodb';
import { type JobBackend, latestRunMs, MOST_AHEAD_MS } from './job-backend.ts';

const COLLECTION = 'jobs';
const DUPLICATE_KEY = 11_000;

/**
 * Keeps jobs in this database.
 *
 * Agenda's own way to set up a recurring job clears the lock of one that runs, and two agents that do it at once make two:
 * nothing there is unique but the id. So the id is derived from the name.
 */
export function createMongoBackend(db: Db): JobBackend {
  // A handful of documents needs no index.
  const agenda = new MongoBackend({ mongo: db, collection: COLLECTION, ensureIndex: false });
  const jobs = db.collection(COLLECTION);
  return {
    agenda,
    async keepRecurring(name, everyMs, longestMs = everyMs) {
      const _id = new ObjectId(createHash('sha256').update(name).digest('hex').slice(0, 24));
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
