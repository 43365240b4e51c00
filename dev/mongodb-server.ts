import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { MongoClient } from 'mongodb';
import { freePorts, spawnTied, type TiedProcess } from './processes.ts';

/** A start takes one to three seconds; a busy machine needs a reserve. */
const START_TIMEOUT_MS = 60_000;

/** A server that speaks MongoDB's protocol. */
export interface MongoServer {
  readonly url: string;
  readonly process: TiedProcess;
}

/**
 * Starts `program` in `folder` on a free port of 127.0.0.1 and waits until it answers.
 *
 * @param argumentsFor returns the program's arguments for its port and data folder
 * @throws Error with the last lines of the program's log when it does not start
 */
export async function startMongoServer(options: {
  program: string;
  folder: string;
  argumentsFor: (port: number, dataFolder: string) => readonly string[];
  signal?: AbortSignal;
}): Promise<MongoServer> {
  const dataFolder = join(options.folder, 'data');
  mkdirSync(dataFolder, { recursive: true, mode: 0o700 });
  const [port = 0] = await freePorts(1);
  const logFile = join(options.folder, 'server.log');
  const output = openSync(logFile, 'a', 0o600);
  const child = await spawnTied(options.program, options.argumentsFor(port, dataFolder), {
    env: { ...process.env, DO_NOT_TRACK: '1' },
    outputFd: output,
  }).finally(() => closeSync(output));
  const url = `mongodb://127.0.0.1:${port}/`;
  const deadline = performance.now() + START_TIMEOUT_MS;
  try {
    while (!(await answers(url))) {
      options.signal?.throwIfAborted();
      if (!child.running() || performance.now() > deadline) {
        const lastLines = readFileSync(logFile, 'utf8').trim().split('\n').slice(-3).join(' | ');
        throw new Error(`${options.program} did not start: ${lastLines}`);
      }
      await delay(50);
    }
  } catch (error) {
    await child.kill();
    throw error;
  }
  return { url, process: child };
}

async function answers(url: string): Promise<boolean> {
  const client = new MongoClient(url, { serverSelectionTimeoutMS: 300, directConnection: true });
  try {
    await client.db('admin').command({ ping: 1 });
    return true;
  } catch {
    return false;
  } finally {
    await client.close();
  }
}
