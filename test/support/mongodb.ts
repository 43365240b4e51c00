import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { MongoClient } from 'mongodb';
import { type LocalMongoDB, NoMongoDB, startMongoDB } from '../../dev/mongodb.ts';
import { addCleanup, addRunCleanup } from './cleanup.ts';
import { testFolder, unique } from './folders.ts';
import { skipBecause } from './skip.ts';

/** Time-out for a hook that may have to start, download or build a MongoDB server. */
export const MONGODB_START_MS = 600_000;

/** The variable with the server that all processes of a run share, as JSON. */
export const MONGODB_OF_RUN = 'PULSE_AGENT_TEST_MONGODB';

let shared: Promise<LocalMongoDB> | undefined;

/**
 * The one MongoDB server of this run, or else of this test process, started when the first test asks for it. Others use it, too: work in a
 * database of `mongoDatabase` only, and do not stop it.
 *
 * @throws NoMongoDB when there is no way to one
 */
export async function sharedMongoDB(): Promise<LocalMongoDB> {
  shared ??= startShared();
  return await shared;
}

/**
 * For use in a `describe`: starts the shared server in a `before` hook, and skips the suite, loudly, when there is no
 * way to one.
 *
 * @example
 * const mongodb = useSharedMongoDB();
 * it('…', async () => { await openStore(mongoDatabase(mongodb()), …); });
 */
export function useSharedMongoDB(): () => LocalMongoDB {
  let server: LocalMongoDB | undefined;
  before('start the shared MongoDB', async function () {
    this.timeout(MONGODB_START_MS);
    try {
      server = await sharedMongoDB();
    } catch (error) {
      if (!(error instanceof NoMongoDB)) throw error;
      process.stderr.write(`\n!! Tests against MongoDB are skipped. ${error.message}\n\n`);
      skipBecause(this, error.message);
    }
  });
  return () => {
    if (server === undefined) throw new Error('The shared MongoDB is there from the first hook on, not before.');
    return server;
  };
}

/** The URL of a database that no other test uses, and that is dropped after the test, or after the run. */
export function mongoDatabase(server: LocalMongoDB): string {
  const url = new URL(server.url);
  url.pathname = `/${unique('pulse-agent-test')}`;
  // A user of the server is known in its own database, not in the new one.
  if (url.username !== '' && !url.searchParams.has('authSource')) url.searchParams.set('authSource', 'admin');
  addCleanup(async () => {
    const client = new MongoClient(url.href);
    try {
      await client.db().dropDatabase();
    } finally {
      await client.close();
    }
  });
  return url.href;
}

async function startShared(): Promise<LocalMongoDB> {
  const ofRun = process.env[MONGODB_OF_RUN];
  if (ofRun !== undefined) {
    const given = JSON.parse(ofRun) as Pick<LocalMongoDB, 'url' | 'kind'>;
    return { ...given, stop: async () => undefined, kill: async () => undefined };
  }
  const folder = join(testFolder(), unique('mongodb'));
  const server = await startMongoDB({ folder, onProgress: (line) => void process.stderr.write(`${line}\n`) });
  addRunCleanup(async () => {
    // Its data are thrown away: there is nothing that an orderly stop would save.
    await server.kill();
    rmSync(folder, { recursive: true, force: true });
  });
  return server;
}
