import { createHash } from 'node:crypto';
import { MongoBackend } from '@agendajs/mongo-backend';
import { type Db, ObjectId } from 'mongodb';
import { type JobBackend, MAX_LOCK_AHEAD_MS, maxRunAheadMs } from './job-backend.ts';

const COLLECTION = 'jobs';
const DUPLICATE_KEY = 11_000;

/**
 * Keeps jobs in a database.
 *
 * Agenda's own `every` clears the lock of a recurring job that runs, and creates two jobs when two agents call it
 * concurrently: only the id is unique. So the id is derived from the name here.
 */
export function createMongoBackend(db: Db): JobBackend {
  // A handful of documents needs no index.
  const agenda = new MongoBackend({ mongo: db, collection: COLLECTION, ensureIndex: false });
  const jobs = db.collection(COLLECTION);
  return {
    agenda,
    async ensureRecurring(job) {
      const { name, everyMs } = job;
      const _id = new ObjectId(createHash('sha256').update(name).digest('hex').slice(0, 24));
      const now = new Date();
      try {
        const created = { name, type: 'normal', priority: 0, data: {}, nextRunAt: now, repeatInterval: everyMs };
        await jobs.insertOne({ _id, ...created, lockedAt: null });
        return;
      } catch (error) {
        if (!(error instanceof Error && 'code' in error && error.code === DUPLICATE_KEY)) throw error;
      }
      await jobs.updateOne({ _id, repeatInterval: { $ne: everyMs } }, { $set: { repeatInterval: everyMs } });
      const latestLock = new Date(now.getTime() + MAX_LOCK_AHEAD_MS);
      await jobs.updateOne({ _id, lockedAt: { $gt: latestLock } }, { $set: { lockedAt: null } });
      const latestRun = new Date(now.getTime() + maxRunAheadMs(job));
      const isWrong = { $or: [{ nextRunAt: null }, { nextRunAt: { $gt: latestRun } }] };
      await jobs.updateOne({ _id, lockedAt: null, ...isWrong }, { $set: { nextRunAt: now } });
    },
  };
}
