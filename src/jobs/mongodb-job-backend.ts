import { createHash } from 'node:crypto';
import { MongoBackend } from '@agendajs/mongo-backend';
import { type Collection, type Db, ObjectId } from 'mongodb';
import { AgentError } from '../util/agent-errors.ts';
import { type JobBackend, MAX_LOCK_AHEAD_MS, maxRunAheadMs } from './job-backend.ts';

const COLLECTION = 'jobs';
const DUPLICATE_KEY = 11_000;

/**
 * Agenda's constructor calls `connect` and leaves its rejection unhandled, which ends the process; what waits for `ready`
 * would wait for ever. All that could fail there are the indexes of a log of jobs, which is not used.
 */
class UnloggedMongoBackend extends MongoBackend {
  override async connect(): Promise<void> {
    await this.repository.connect();
  }
}

/**
 * Keeps jobs in a database.
 *
 * Agenda's own `every` clears the lock of a recurring job that runs, and creates two jobs when two agents call it
 * concurrently: only the id is unique. So the id is derived from the name here.
 */
export function createMongoBackend(db: Db): JobBackend {
  // A handful of documents needs no index.
  const agenda = new UnloggedMongoBackend({ mongo: db, collection: COLLECTION, ensureIndex: false });
  const jobs = db.collection(COLLECTION);
  return {
    agenda,
    async ensureRecurring(job) {
      try {
        await ensureStored(jobs, job);
      } catch (error) {
        throw storeUnavailable(error);
      }
    },
  };
}

async function ensureStored(jobs: Collection, job: Parameters<JobBackend['ensureRecurring']>[0]): Promise<void> {
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
}

/** The driver's errors carry the topology and the command; the name says what happened. */
function storeUnavailable(error: unknown): AgentError {
  const { name } = error instanceof Error ? error : new Error();
  return new AgentError(
    'StoreUnavailable',
    `MongoDB did not store a recurring job (${name}). Check that it runs, that it has a primary, and that STORE_URL is right.`,
  );
}
