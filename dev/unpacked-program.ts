import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { unpackPackage } from './apt-unpack.ts';
import { findExecutable } from './processes.ts';

/** A program that is one file of one of Debian's packages, and needs nothing that other systems lack. */
interface SingleProgram {
  readonly name: string;
  /** Debian's package. */
  readonly from: string;
  /** Where the package has it. */
  readonly path: string;
}

/** Prometheus's tool that evaluates rules. */
export const PROMTOOL: SingleProgram = { name: 'promtool', from: 'prometheus', path: './usr/bin/promtool' };

export const NGINX: SingleProgram = { name: 'nginx', from: 'nginx', path: './usr/sbin/nginx' };

/**
 * A program from PATH, or unpacked from Debian's package into `cacheFolder`.
 *
 * @returns its path
 * @throws Error when it can be neither found nor unpacked
 */
export async function ensureUnpackedProgram(program: SingleProgram, cacheFolder: string): Promise<string> {
  const { name } = program;
  const installed = findExecutable(name);
  if (installed !== undefined) return installed;
  const unpacked = resolve(cacheFolder, name, name);
  if (!existsSync(unpacked)) await unpackProgram(program, unpacked);
  return unpacked;
}

async function unpackProgram({ from, path }: SingleProgram, target: string): Promise<void> {
  // Several processes may do this at the same time: each uses its own folder and renames the file at the end.
  const work = `${dirname(target)}-${process.pid}`;
  rmSync(work, { recursive: true, force: true });
  mkdirSync(work, { recursive: true });
  try {
    await unpackPackage(from, work, join(work, 'root'));
    mkdirSync(dirname(target), { recursive: true });
    renameSync(join(work, 'root', path), target);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
