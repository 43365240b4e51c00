import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runCommand } from './commands.ts';
import { goEnvironment } from './go-environment.ts';
import { findExecutable } from './processes.ts';

const SOURCES = ['main.go', 'go.mod', 'go.sum'];

/** Without what only other backends need, and what only a debugger reads. */
const BUILD = ['build', '-tags', 'ferretdb_no_postgresql', '-ldflags=-s -w'];

const PROGRESS_EVERY_MS = 5000;

/** Tests that need no MongoDB run meanwhile, and some of them look at time. */
const NICENESS = 10;

/** How to build the stand-in for a MongoDB server. */
export interface FerretBuildOptions {
  /** Where the program, and all that building it downloads, is kept. */
  cacheFolder: string;
  onProgress: (line: string) => void;
  signal?: AbortSignal;
}

/**
 * The path of the stand-in: FerretDB behind a lock, see `ferretdb/main.go`. It is built when there is none of these
 * sources yet, which takes one to five minutes the first time; nothing is written outside of `cacheFolder`.
 *
 * @throws Error when there is no Go, or building fails
 */
export async function ensureFerretDB(options: FerretBuildOptions): Promise<string> {
  const sources = join(dirname(fileURLToPath(import.meta.url)), 'ferretdb');
  const hash = createHash('sha256');
  for (const file of SOURCES) hash.update(readFileSync(join(sources, file)));
  const program = join(options.cacheFolder, `pulse-ferretdb-${hash.digest('hex').slice(0, 16)}`);
  if (existsSync(program)) return program;

  const go = findExecutable('go');
  if (go === undefined) throw new Error('there is no go on this machine to build FerretDB with');
  mkdirSync(options.cacheFolder, { recursive: true });
  // A folder of its own, because several processes may find at once that there is no program yet.
  const folder = mkdtempSync(join(options.cacheFolder, 'build-'));
  const startedAt = performance.now();
  const timer = setInterval(() => {
    options.onProgress(`  still building FerretDB, ${Math.round((performance.now() - startedAt) / 1000)} s so far`);
  }, PROGRESS_EVERY_MS);
  try {
    for (const file of SOURCES) copyFileSync(join(sources, file), join(folder, file));
    options.onProgress('Building FerretDB, a stand-in for a MongoDB server: needed once, takes one to five minutes.');
    await runCommand(go, [...BUILD, '-o', 'pulse-ferretdb', '.'], {
      cwd: folder,
      env: { ...goEnvironment(join(options.cacheFolder, 'go')), DO_NOT_TRACK: '1' },
      niceness: NICENESS,
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    });
    renameSync(join(folder, 'pulse-ferretdb'), program);
    return program;
  } finally {
    clearInterval(timer);
    rmSync(folder, { recursive: true, force: true });
  }
}
