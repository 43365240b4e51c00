import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { privateAptOptions } from './apt-unpack.ts';
import { runCommand } from './commands.ts';
import { findExecutable } from './processes.ts';

/** Where Debian's package has it. */
const IN_PACKAGE = './usr/bin/promtool';

/**
 * Prometheus's tool that evaluates rules: from PATH, or unpacked from Debian's package `prometheus` into `cacheFolder`.
 *
 * @returns its path
 * @throws Error when it can be neither found nor unpacked
 */
export async function ensurePromtool(cacheFolder: string): Promise<string> {
  const installed = findExecutable('promtool');
  if (installed !== undefined) return installed;
  const unpacked = resolve(cacheFolder, 'promtool/promtool');
  if (!existsSync(unpacked)) await unpackPromtool(unpacked);
  return unpacked;
}

async function unpackPromtool(target: string): Promise<void> {
  // Several processes may do this at the same time: each uses its own folder and renames the file at the end.
  const work = `${dirname(target)}-${process.pid}`;
  rmSync(work, { recursive: true, force: true });
  mkdirSync(work, { recursive: true });
  const download = (apt: readonly string[]): Promise<string> =>
    runCommand('apt-get', [...apt, 'download', 'prometheus'], { cwd: work });
  try {
    try {
      await download([]);
    } catch {
      // The system's package lists are missing or too old.
      const apt = privateAptOptions(work);
      await runCommand('apt-get', [...apt, 'update']);
      await download(apt);
    }
    const file = readdirSync(work).find((name) => name.endsWith('.deb'));
    if (file === undefined) throw new Error('apt-get has downloaded no package.');
    await runCommand('dpkg-deb', ['-x', join(work, file), join(work, 'root')]);
    mkdirSync(dirname(target), { recursive: true });
    renameSync(join(work, 'root', IN_PACKAGE), target);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
