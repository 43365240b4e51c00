import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Their tests wait for processes that start and die: begun last, they would keep one worker while the others are done.
 * Those of the first start agents all the time and those of the second mostly wait, so one of each comes in turn.
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

/** What files mention whose tests need the MongoDB server, or Go, with which its stand-in is built. */
const NEEDS_SERVER = /mongo|support\/go\.ts/i;

/** The files of tests of a run, each given out once. */
export interface FileQueue {
  /** The next one; nothing when there is none left. Waits when those that are left need the server. */
  next(): Promise<string | undefined>;
}

/**
 * Gives out the files of tests in `folder`, the slow ones first; those that need the MongoDB server only when that is
 * there, which may have to be built.
 *
 * @param server settles when it is there, or cannot be had
 */
export function openFileQueue(folder: string, server: Promise<unknown>): FileQueue {
  const files = testFiles(folder);
  let isThere = false;
  const settled = server.then(
    () => (isThere = true),
    () => (isThere = true),
  );
  const take = (): string | undefined => {
    const index = files.findIndex((file) => isThere || !NEEDS_SERVER.test(readFileSync(file, 'utf8')));
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

/** The slow ones first. */
function testFiles(folder: string): string[] {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.test.ts'))
    .map((name) => join(folder, name));
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
