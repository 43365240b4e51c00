import { execFile } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { makeFolder } from './folders.ts';

const run = promisify(execFile);

/** A folder in which `pulse-agent-client` and other packages are installed. */
export interface InstalledClient {
  readonly folder: string;
  /** Writes a file there and returns its path. */
  write(name: string, text: string): string;
}

/** How long an installation may take, in ms: packages are downloaded the first time. */
export const INSTALL_MS = 180_000;

/** Installs these packages into an empty folder, from npm's cache or its default registry. */
export async function installClient(tarball: string, packages: readonly string[]): Promise<InstalledClient> {
  const folder = makeFolder('installed');
  const write = (name: string, text: string): string => {
    const file = join(folder, name);
    mkdirSync(join(file, '..'), { recursive: true });
    writeFileSync(file, text);
    return file;
  };
  write('package.json', JSON.stringify({ name: 'client-user', private: true, type: 'module' }));
  const options = ['--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline', '--loglevel=error'];
  await run('npm', ['install', ...options, tarball, ...packages], { cwd: folder, timeout: INSTALL_MS });
  return { folder, write };
}
