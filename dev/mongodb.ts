import { existsSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { ensureFerretDB } from './ferretdb-build.ts';
import { type MongoServer, startMongoServer } from './mongodb-server.ts';
import { findExecutable } from './processes.ts';

/** The host from which mongodb-memory-server downloads; probed first, because its own attempts take long to fail. */
const DOWNLOAD_HOST = 'https://fastdl.mongodb.org';
const DOWNLOAD_PROBE_MS = 3000;
const STOP_GRACE_MS = 10_000;

/** `given`: MONGODB_URL; `mongod`: installed; `downloaded`: a downloaded mongod; `ferretdb`: the stand-in. */
export type MongoDBKind = 'given' | 'mongod' | 'downloaded' | 'ferretdb';

/** How to start a MongoDB server. */
export interface MongoDBOptions {
  /** Everything the server writes stays here. */
  folder: string;
  /** Keeps downloaded and built programs; default `.cache` of the current folder. */
  cacheFolder?: string;
  onProgress?: (line: string) => void;
  signal?: AbortSignal;
}

/** A MongoDB server or its stand-in. */
export interface LocalMongoDB {
  readonly url: string;
  readonly kind: MongoDBKind;
  /** Stops it gracefully; does nothing to the server of MONGODB_URL. */
  stop(): Promise<void>;
  /** Kills it with SIGKILL; does nothing to the server of MONGODB_URL. */
  kill(): Promise<void>;
}

/** No MongoDB server could be had. */
export class NoMongoDB extends Error {
  /** Why each way failed. */
  readonly tried: readonly string[];

  constructor(tried: readonly string[]) {
    super(`There is no MongoDB server: ${tried.join('; ')}. Set MONGODB_URL, or install mongod or Go.`);
    this.name = 'NoMongoDB';
    this.tried = tried;
  }
}

type WayOptions = Required<Omit<MongoDBOptions, 'signal'>> & Pick<MongoDBOptions, 'signal'>;
type Way = (options: WayOptions) => Promise<LocalMongoDB>;

/** The ways to get a server, the most faithful first. */
const WAYS: readonly Way[] = [given, installed, downloaded, ferretdb];

/**
 * Gets a MongoDB server: the one of MONGODB_URL, a mongod on this machine (MONGOMS_SYSTEM_BINARY or on PATH), one that
 * mongodb-memory-server downloads (not with MONGOMS_RUNTIME_DOWNLOAD=false), or FerretDB behind a lock. A server that this
 * function starts listens on 127.0.0.1 only and dies with this process, even if that is killed.
 *
 * @throws NoMongoDB when no way works; its message says why
 * @example
 * const server = await startMongoDB({ folder: '.cache/mongodb' });
 * await server.stop();
 */
export async function startMongoDB(options: MongoDBOptions): Promise<LocalMongoDB> {
  const all = {
    ...options,
    folder: resolve(options.folder),
    cacheFolder: resolve(options.cacheFolder ?? '.cache'),
    onProgress: options.onProgress ?? (() => undefined),
  };
  const tried: string[] = [];
  for (const way of WAYS) {
    try {
      return await way(all);
    } catch (error) {
      options.signal?.throwIfAborted();
      tried.push(error instanceof Error ? error.message : String(error));
    }
  }
  throw new NoMongoDB(tried);
}

async function given(): Promise<LocalMongoDB> {
  const url = process.env['MONGODB_URL'];
  if (url === undefined || url === '') throw new Error('MONGODB_URL is not set');
  return { url, kind: 'given', stop: async () => undefined, kill: async () => undefined };
}

async function installed(options: WayOptions): Promise<LocalMongoDB> {
  const program = process.env['MONGOMS_SYSTEM_BINARY'] ?? findExecutable('mongod');
  if (program === undefined) throw new Error('there is no mongod on PATH');
  return await startMongod('mongod', program, options);
}

async function downloaded(options: WayOptions): Promise<LocalMongoDB> {
  if (process.env['MONGOMS_RUNTIME_DOWNLOAD'] === 'false') throw new Error('downloads of mongod are disabled');
  const downloadDir = join(options.cacheFolder, 'mongodb-binaries');
  if (!isDownloaded(downloadDir)) {
    await fetch(DOWNLOAD_HOST, { method: 'HEAD', signal: AbortSignal.timeout(DOWNLOAD_PROBE_MS) }).catch(() => {
      throw new Error(`mongod cannot be downloaded: ${DOWNLOAD_HOST} is unreachable`);
    });
    options.onProgress('Downloading mongod, once.');
  }
  // Imported only here: it is large, and mostly not needed.
  const { MongoBinary } = await import('mongodb-memory-server-core');
  return await startMongod('downloaded', await MongoBinary.getPath({ downloadDir }), options);
}

function isDownloaded(downloadDir: string): boolean {
  return existsSync(downloadDir) && readdirSync(downloadDir).some((name) => /^mongod-.*[0-9]$/.test(name));
}

async function ferretdb(options: WayOptions): Promise<LocalMongoDB> {
  const { folder, signal } = options;
  const program = await ensureFerretDB({ ...options, cacheFolder: join(options.cacheFolder, 'ferretdb') });
  const argumentsFor = (port: number): string[] => ['-port', String(port), '-folder', folder];
  return local('ferretdb', await startMongoServer({ program, folder, argumentsFor, ...(signal ? { signal } : {}) }));
}

async function startMongod(kind: MongoDBKind, program: string, options: WayOptions): Promise<LocalMongoDB> {
  const { folder, signal } = options;
  return local(
    kind,
    await startMongoServer({ program, folder, argumentsFor: mongodArguments, ...(signal ? { signal } : {}) }),
  );
}

function mongodArguments(port: number, dataFolder: string): string[] {
  return ['--port', String(port), '--bind_ip', '127.0.0.1', '--dbpath', dataFolder, '--nounixsocket'];
}

function local(kind: MongoDBKind, server: MongoServer): LocalMongoDB {
  return {
    url: server.url,
    kind,
    stop: async () => await server.process.stop(STOP_GRACE_MS),
    kill: async () => await server.process.kill(),
  };
}
