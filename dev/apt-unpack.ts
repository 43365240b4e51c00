import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { runCommand } from './commands.ts';
import type { AptOptions } from './debian-program.ts';

/**
 * Downloads Debian's packages of RabbitMQ and Erlang and unpacks them into `folder`, where an unprivileged user can run
 * them. Nothing outside `folder` and its siblings changes.
 *
 * @throws Error with the last lines of the tool that failed
 */
export async function unpackWithApt({ folder, ...options }: { folder: string } & AptOptions): Promise<void> {
  options.onProgress("Downloading Debian's packages of RabbitMQ and Erlang, once; about 50 MB.");
  await unpackPackages({
    folder,
    ...options,
    async list(apt) {
      // All of Erlang, also what is installed, because Erlang loads all its parts from one folder.
      const without = ['recommends', 'suggests', 'conflicts', 'breaks', 'replaces', 'enhances'].map(
        (kind) => `--no-${kind}`,
      );
      const tree = await runCommand('apt-cache', [...apt, 'depends', '--recurse', ...without, 'rabbitmq-server']);
      const erlang = tree.split('\n').filter((line) => /^erlang-[a-z0-9-]+$/.test(line));
      return ['rabbitmq-server', ...erlang, ...(await missingPackages(apt, ['rabbitmq-server']))];
    },
    afterwards: makeErlangRelocatable,
  });
}

/**
 * Downloads Debian's packages and unpacks them into `folder`, with their shared libraries in its folder `lib-links`.
 * Nothing outside `folder` and its siblings changes.
 *
 * @throws Error with the last lines of the tool that failed
 */
export async function unpackPackages(
  options: AptOptions & {
    readonly folder: string;
    /** The packages; `apt` are options for each call of apt. */
    list(apt: readonly string[]): Promise<readonly string[]>;
    /** Changes what was unpacked, before it is used. */
    afterwards?(root: string): void;
  },
): Promise<void> {
  const { folder, onProgress, signal } = options;
  const abort = signal === undefined ? {} : { signal };
  // Several processes may do this at the same time: each uses its own folder and renames it at the end.
  const work = `${folder}-${process.pid}`;
  const packages = join(work, 'packages');
  const root = join(work, 'root');
  rmSync(work, { recursive: true, force: true });
  mkdirSync(packages, { recursive: true });
  mkdirSync(root);
  try {
    const download = async (apt: readonly string[]): Promise<void> => {
      const names = [...new Set(await options.list(apt))];
      signal?.throwIfAborted();
      await runCommand('apt-get', [...apt, 'download', ...names], {
        cwd: packages,
        onLine: (line) => onProgress(`  ${line}`),
        ...abort,
      });
    };
    try {
      await download([]);
    } catch {
      signal?.throwIfAborted();
      onProgress("Downloading apt's package lists into the cache folder, because the system's are missing or too old.");
      const apt = privateAptOptions(work);
      await runCommand('apt-get', [...apt, 'update'], { onLine: (line) => onProgress(`  ${line}`), ...abort });
      await download(apt);
    }
    onProgress('Unpacking.');
    for (const file of readdirSync(packages).filter((name) => name.endsWith('.deb'))) {
      await runCommand('dpkg-deb', ['-x', join(packages, file), root], abort);
    }
    options.afterwards?.(root);
    linkLibraries(root);
    rmSync(folder, { recursive: true, force: true });
    renameSync(root, folder);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** The packages that apt would have to install for these, themselves included. */
export async function missingPackages(apt: readonly string[], names: readonly string[]): Promise<string[]> {
  const simulation = ['-s', '-o', 'Debug::NoLocking=1', 'install', '--no-install-recommends', ...names];
  const lines = (await runCommand('apt-get', [...apt, ...simulation])).split('\n');
  return lines.flatMap((line) => /^Inst (\S+)/.exec(line)?.[1] ?? []);
}

/**
 * Downloads one of Debian's packages and unpacks it into `root`, as an unprivileged user can. `work` is a folder of the
 * caller for what comes in between.
 *
 * @throws Error with the last lines of the tool that failed
 */
export async function unpackPackage(name: string, work: string, root: string): Promise<void> {
  const download = (apt: readonly string[]): Promise<string> =>
    runCommand('apt-get', [...apt, 'download', name], { cwd: work });
  try {
    await download([]);
  } catch {
    // The system's package lists are missing or too old.
    const apt = privateAptOptions(work);
    await runCommand('apt-get', [...apt, 'update']);
    await download(apt);
  }
  const file = readdirSync(work).find((each) => each.endsWith('.deb'));
  if (file === undefined) throw new Error(`apt-get has downloaded no package ${name}.`);
  await runCommand('dpkg-deb', ['-x', join(work, file), root]);
}

/** Options with which apt keeps its lists and caches in `work`; it still reads the system's list of installed packages. */
function privateAptOptions(work: string): string[] {
  const state = join(work, 'apt');
  mkdirSync(join(state, 'lists/partial'), { recursive: true });
  mkdirSync(join(state, 'cache/archives/partial'), { recursive: true });
  return [`Dir::State::lists=${state}/lists`, `Dir::Cache=${state}/cache`].flatMap((option) => ['-o', option]);
}

/** Debian's `erl` scripts contain a fixed path; these replacements derive it from their own location. */
function makeErlangRelocatable(root: string): void {
  const erlang = join(root, 'usr/lib/erlang');
  const runtime = readdirSync(erlang).find((name) => name.startsWith('erts-'));
  if (runtime === undefined) throw new Error('The unpacked Erlang has no erts folder.');
  replaceErl(join(erlang, 'bin/erl'), '..', runtime);
  // Erlang itself starts this one, as RabbitMQ 4 does to find the other nodes of its cluster.
  replaceErl(join(erlang, runtime, 'bin/erl'), '../..', runtime);
}

function replaceErl(script: string, toRoot: string, runtime: string): void {
  const text = existsSync(script) ? readFileSync(script, 'utf8') : '';
  if (!text.includes('ROOTDIR=/usr/lib/erlang') && !text.includes('ROOTDIR="/usr/lib/erlang"')) {
    throw new Error('The erl script of this Erlang has an unknown format.');
  }
  rmSync(script);
  writeFileSync(
    script,
    [
      '#!/bin/sh',
      `ROOTDIR=$(cd "$(dirname "$(readlink -f "$0")")/${toRoot}" && pwd)`,
      `BINDIR="$ROOTDIR/${runtime}/bin"`,
      'EMU=beam',
      'PROGNAME=erl',
      'export ROOTDIR BINDIR EMU PROGNAME',
      'exec "$BINDIR/erlexec" "$@"',
      '',
    ].join('\n'),
  );
  chmodSync(script, 0o755);
}

/** Links all unpacked shared libraries from one folder, independent of the architecture's folder names. */
function linkLibraries(root: string): void {
  const links = join(root, 'lib-links');
  mkdirSync(links);
  for (const base of ['lib', 'usr/lib']) {
    const folder = join(root, base);
    if (!existsSync(folder)) continue;
    for (const entry of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
      // Erlang and RabbitMQ load their own libraries by path.
      if (!/^[^/]+-linux-[^/]+\/[^/]+\.so\.[0-9.]+$/.test(entry)) continue;
      const file = join(folder, entry);
      const link = join(links, file.slice(dirname(file).length + 1));
      if (!existsSync(link)) symlinkSync(relative(links, file), link);
    }
  }
}
