import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Their tests wait for processes that start and exit: started last, they would occupy one worker after the rest is done. Those
 * of the first folder start agents all the time and those of the second mostly wait: they alternate.
 */
const SLOW_FOLDERS = [
  'crash',
  'agent',
  'examples',
  'docs',
  'cli',
  'simulation',
  'verify',
  'client',
  'jobs',
  'namespaces',
];

/** Their tests share a cluster, so one process runs them all. */
export const CLUSTER_FOLDER = 'test/cluster';

/** Matches the files whose tests need the MongoDB server, or Go, with which its stand-in is built. */
const NEEDS_SERVER = /mongo|support\/go\.ts/i;

/** The test files of a run, each returned once. */
export interface FileQueue {
  /** The next file; undefined after the last. Waits when all remaining files need the server. */
  next(): Promise<string | undefined>;
}

/**
 * Queues the test files in `folder`, the slow ones first. Those that need the MongoDB server, which may have to be built, come
 * when it is available.
 *
 * @param server settles when the server is available, or cannot be
 */
export function openFileQueue(folder: string, server: Promise<unknown>): FileQueue {
  const files = testFiles(folder);
  let isAvailable = false;
  const settled = server.then(
    () => (isAvailable = true),
    () => (isAvailable = true),
  );
  const take = (): string | undefined => {
    const index = files.findIndex((file) => isAvailable || !NEEDS_SERVER.test(readFileSync(file, 'utf8')));
    return index === -1 ? undefined : files.splice(index, 1)[0];
  };
  return {
    async next() {
      const file = take();
      if (file !== undefined || files.length === 0) return file;
      await settled;
      return take();
    },
  };
}

/** The slow files first; those of the cluster only when `folder` is theirs. */
function testFiles(folder: string): string[] {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.test.ts'))
    .map((name) => join(folder, name))
    .filter((file) => folder === CLUSTER_FOLDER || !file.startsWith(`${CLUSTER_FOLDER}/`));
  const rank = (file: string): number => {
    const at = SLOW_FOLDERS.indexOf(file.split('/')[1] ?? '');
    return at === -1 ? SLOW_FOLDERS.length : at;
  };
  const sorted = files.toSorted((one, other) => rank(one) - rank(other) || statSync(other).size - statSync(one).size);
  const [busy, waiting] = [0, 1].map((wanted) => sorted.filter((file) => rank(file) === wanted));
  return [...inTurn(busy ?? [], waiting ?? []), ...sorted.filter((file) => rank(file) > 1)];
}

function inTurn(one: readonly string[], other: readonly string[]): string[] {
  const turns = Array.from({ length: Math.max(one.length, other.length) }, (_, turn) => [one[turn], other[turn]]);
  return turns.flat().filter((file) => file !== undefined);
}
