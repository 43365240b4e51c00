import { createHash } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runCommand } from './commands.ts';
import { goEnvironment } from './go-environment.ts';
import { findExecutable } from './processes.ts';

const SOURCES = ['main.go', 'go.mod', 'go.sum'];

/** Without the PostgreSQL backend and debug information. */
const BUILD = ['build', '-tags', 'ferretdb_no_postgresql', '-ldflags=-s -w'];

const COLLECTION = 'github.com/FerretDB/FerretDB/internal/backends/sqlite/collection.go';

/**
 * FerretDB looks a document up by its `_id` only if the filter names nothing else, and reads all documents otherwise:
 * 35 ms for a compare-and-set among a thousand. It filters what it found afterwards in either case. Without a filter there
 * is no document to ask: only its length may be.
 */
const ID_ALONE = 'if params.Filter.Len() == 1 {';
const ID_AMONG_OTHERS = 'if params.Filter.Len() > 0 && params.Filter.Has("_id") {';

const PROGRESS_EVERY_MS = 5000;

/** Tests run during the build, and some of them measure time. */
const NICENESS = 10;

/** How to build FerretDB. */
export interface FerretBuildOptions {
  /** Keeps the program and everything that the build downloads. */
  cacheFolder: string;
  onProgress: (line: string) => void;
  signal?: AbortSignal;
}

/**
 * The path of FerretDB behind a lock (`ferretdb/main.go`), a stand-in for MongoDB. It is built once for each version of its
 * sources; the first build takes one to five minutes. Nothing is written outside `cacheFolder`.
 *
 * @throws Error when there is no Go, or the build fails
 */
export async function ensureFerretDB(options: FerretBuildOptions): Promise<string> {
  const sources = join(dirname(fileURLToPath(import.meta.url)), 'ferretdb');
  const hash = createHash('sha256');
  for (const file of SOURCES) hash.update(readFileSync(join(sources, file)));
  hash.update(ID_AMONG_OTHERS);
  const program = join(options.cacheFolder, `pulse-ferretdb-${hash.digest('hex').slice(0, 16)}`);
  if (existsSync(program)) return program;

  const go = findExecutable('go');
  if (go === undefined) throw new Error('there is no go on this machine to build FerretDB with');
  mkdirSync(options.cacheFolder, { recursive: true });
  // Several processes may build at the same time: each uses its own folder and renames the program at the end.
  const folder = mkdtempSync(join(options.cacheFolder, 'build-'));
  const startedAt = performance.now();
  const timer = setInterval(() => {
    options.onProgress(`  still building FerretDB, ${Math.round((performance.now() - startedAt) / 1000)} s so far`);
  }, PROGRESS_EVERY_MS);
  try {
    for (const file of SOURCES) copyFileSync(join(sources, file), join(folder, file));
    options.onProgress('Building FerretDB, a stand-in for MongoDB, once; this takes one to five minutes.');
    const how = {
      cwd: folder,
      env: { ...goEnvironment(join(options.cacheFolder, 'go')), DO_NOT_TRACK: '1' },
      niceness: NICENESS,
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    };
    await runCommand(go, ['mod', 'vendor'], how);
    const collection = join(folder, 'vendor', COLLECTION);
    const source = findById(readFileSync(collection, 'utf8'));
    rmSync(collection, { force: true });
    writeFileSync(collection, source);
    await runCommand(go, [...BUILD, '-o', 'pulse-ferretdb', '.'], how);
    renameSync(join(folder, 'pulse-ferretdb'), program);
    return program;
  } finally {
    clearInterval(timer);
    rmSync(folder, { recursive: true, force: true });
  }
}

/** @throws Error when this version of FerretDB looks documents up in another way */
function findById(source: string): string {
  if (!source.includes(ID_ALONE)) throw new Error(`${COLLECTION} has no "${ID_ALONE}".`);
  return source.replaceAll(ID_ALONE, ID_AMONG_OTHERS);
}
