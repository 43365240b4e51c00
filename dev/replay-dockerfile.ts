/**
 * Runs the build stage of the Dockerfile, and the copies of the last stage, in an empty folder. Without Docker this shows
 * that the steps work and that the image is complete. Run it with `npm run check:image`.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';

const cache = resolve('.cache');
mkdirSync(cache, { recursive: true });
const root = mkdtempSync(join(cache, 'image-'));
const stages = { build: join(root, 'build'), last: join(root, 'app') };

/** The path in the folder that represents the image's working folder. */
function inside(stage: string, path: string): string {
  return join(stage, path.replace(/^\/build\/?/, ''));
}

function replay(): void {
  let stage: keyof typeof stages = 'build';
  for (const line of readFileSync('Dockerfile', 'utf8').split('\n')) {
    if (line.startsWith('FROM')) {
      stage = line.includes(' AS build') ? 'build' : 'last';
      mkdirSync(stages[stage], { recursive: true });
    }
    const folder = stages[stage];
    const copy = /^COPY (--from=build )?(.+) (\S+)$/.exec(line);
    if (copy !== null) {
      const [, from, sources = '', target = ''] = copy;
      for (const source of sources.split(' ')) {
        const start = from === undefined ? resolve(source) : inside(stages.build, source);
        const end = target === './' ? join(folder, source.split('/').at(-1) ?? '') : join(folder, target);
        mkdirSync(dirname(end), { recursive: true });
        cpSync(start, end, { recursive: true });
      }
    }
    // The last stage's only command creates a folder outside the working folder.
    if (line.startsWith('RUN ') && stage === 'build') {
      console.log(`$ ${line.slice(4)}`);
      execFileSync('sh', ['-c', line.slice(4)], { cwd: folder, stdio: ['ignore', 'inherit', 'inherit'] });
    }
  }
}

/** Runs the image's entry point with these arguments, in its folder and environment. */
function run(args: readonly string[]): { status: number | null; output: string } {
  const entry = /^ENTRYPOINT (\[.*\])$/m.exec(readFileSync('Dockerfile', 'utf8'))?.[1] ?? '[]';
  const [, ...options] = JSON.parse(entry) as string[];
  const { status, stdout, stderr } = spawnSync(process.execPath, [...options, ...args], {
    cwd: stages.last,
    env: { NODE_ENV: 'production', STORE_URL: 'lmdb:/nowhere' },
    encoding: 'utf8',
  });
  return { status, output: stdout + stderr };
}

function expect(args: readonly string[], status: number, text: RegExp): void {
  const ran = run(args);
  if (ran.status !== status || !text.test(ran.output)) {
    throw new Error(`pulse-agent ${args.join(' ')} exited with ${ran.status}, not ${status}:\n${ran.output}`);
  }
  console.log(`pulse-agent ${args.join(' ')}: ok`);
}

try {
  replay();
  // As in a container with a read-only file system.
  for (const name of ['dist', 'config', 'package.json']) chmodSync(join(stages.last, name), 0o555);
  expect(['--version'], 0, /^\d+\.\d+\.\d+/);
  expect(['verify', '--help'], 0, /end-to-end check/);
  expect(['serve'], 2, /Set RABBITMQ_URL/);
  console.log('The Dockerfile builds in an empty folder.');
} finally {
  rmSync(root, { recursive: true, force: true });
}
