import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { MongoClient } from 'mongodb';
import { freePorts, spawnTied, type TiedProcess } from './processes.ts';

/** It takes one to three seconds; a loaded machine needs some reserve. */
const START_TIMEOUT_MS = 60_000;

/** A program that speaks MongoDB's protocol, started by us. */
export interface MongoServer {
  readonly url: string;
  readonly process: TiedProcess;
}

/**
 * Starts `program` in `folder` on a free port of 127.0.0.1 and returns when it answers.
 *
 * @param argumentsFor the program's arguments, given its port and a folder for its data
 * @throws Error with the program's last words when it does not come up
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
        const lastWords = readFileSync(logFile, 'utf8').trim().split('\n').slice(-3).join(' | ');
        throw new Error(`${options.program} did not come up: ${lastWords}`);
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
