import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { MongoClient } from 'mongodb';
import { type LocalMongoDB, NoMongoDB, startMongoDB } from '../../dev/mongodb.ts';
import { addCleanup, addRunCleanup } from './cleanup.ts';
import { testFolder, unique } from './folders.ts';
import { skipBecause } from './skip.ts';

/** Timeout of a hook that may start, download or build a MongoDB server. */
export const MONGODB_START_MS = 600_000;

/** The variable that names the server of the whole run, as JSON. */
export const MONGODB_OF_RUN = 'PULSE_AGENT_TEST_MONGODB';

let shared: Promise<LocalMongoDB> | undefined;

/**
 * The MongoDB server of this run, or of this test process, started by the first call. Use only databases of
 * {@link mongoDatabase}, and do not stop it.
 *
 * @throws NoMongoDB when no server can be had
 */
export async function sharedMongoDB(): Promise<LocalMongoDB> {
  shared ??= startShared();
  return await shared;
}

/**
 * For use in a `describe`: starts the shared server in a `before` hook, and skips the suite, with a warning, when no
 * server can be had.
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
    if (server === undefined) throw new Error('The shared MongoDB is ready only from the first hook on.');
    return server;
  };
}

/** The URL of a new database, which is dropped after the test, or after the file. */
export function mongoDatabase(server: LocalMongoDB): string {
  const url = new URL(server.url);
  url.pathname = `/${unique('pulse-agent-test')}`;
  // The server's user exists in its own database, not in the new one.
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
    // Its data are thrown away, so an orderly stop would be wasted time.
    await server.kill();
    rmSync(folder, { recursive: true, force: true });
  });
  return server;
}
