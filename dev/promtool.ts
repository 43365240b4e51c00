import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { unpackPackage } from './apt-unpack.ts';
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
  try {
    await unpackPackage('prometheus', work, join(work, 'root'));
    mkdirSync(dirname(target), { recursive: true });
    renameSync(join(work, 'root', IN_PACKAGE), target);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
