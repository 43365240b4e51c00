import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { unpackPackage } from '../../dev/apt-unpack.ts';
import { runCommand } from '../../dev/commands.ts';
import { findExecutable } from '../../dev/processes.ts';
import { skipBecause } from './skip.ts';

/** The folder of the client library in Python. */
export const PYTHON_CLIENT = resolve('clients/python');

/** The Python command and the environment that run the library. */
export interface Python {
  readonly command: string;
  /** The folder of the packages that it needs. */
  readonly packages: string;
  readonly env: NodeJS.ProcessEnv;
}

const OLDEST = [3, 10] as const;

/**
 * Finds Python, or skips, and installs what the library needs into the working copy's cache, once for each version of
 * Python and of the requirements.
 *
 * @param requirements another file of requirements
 */
export async function preparePython(
  context: Mocha.Context,
  requirements = join(PYTHON_CLIENT, 'requirements-test.txt'),
): Promise<Python> {
  const command = findExecutable('python3');
  if (command === undefined) skipBecause(context, 'there is no python3 on this machine');
  const version = await runCommand(command, [
    '-c',
    'import sys; print(*sys.version_info[:2], sys.implementation.name)',
  ]);
  const [major = 0, minor = 0] = version.split(' ').map(Number);
  if (major !== OLDEST[0] || minor < OLDEST[1]) skipBecause(context, `python3 is ${major}.${minor}, older than 3.10`);

  const hash = createHash('sha256').update(version).update(command).update(readFileSync(requirements));
  const packages = resolve('.cache/python', hash.digest('hex').slice(0, 16));
  if (!existsSync(packages)) await install(command, requirements, packages);
  const { PATH, TMPDIR } = process.env;
  return {
    command,
    packages,
    env: {
      PATH,
      ...(TMPDIR && { TMPDIR }),
      PYTHONPATH: `${join(PYTHON_CLIENT, 'src')}:${packages}`,
      PYTHONDONTWRITEBYTECODE: '1',
      PYTHONUTF8: '1',
    },
  };
}

async function install(command: string, requirements: string, packages: string): Promise<void> {
  // Several runs may install at the same time: each uses its own folder and renames it at the end.
  const work = `${packages}-${process.pid}`;
  mkdirSync(work, { recursive: true });
  try {
    const pip = await findPip(command, work);
    const target = join(work, 'packages');
    const options = [
      '--cache-dir',
      resolve('.cache/python/pip'),
      '--disable-pip-version-check',
      '--quiet',
      '--target',
      target,
    ];
    // With pip among the packages, `python3 -m pip` works as on other machines.
    const own = pip[0] === '-m' ? [] : ['pip'];
    await runCommand(command, [...pip, 'install', ...options, '--requirement', requirements, ...own]);
    if (!existsSync(packages)) renameSync(target, packages);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** The arguments with which Python runs pip. Debian's Python has none, but its packages contain pip's wheel. */
async function findPip(command: string, work: string): Promise<string[]> {
  const own = ['-m', 'pip'];
  const has = await runCommand(command, [...own, '--version']).then(
    () => true,
    () => false,
  );
  if (has) return own;
  await unpackPackage('python3-pip-whl', work, join(work, 'pip'));
  const wheels = join(work, 'pip/usr/share/python-wheels');
  const wheel = readdirSync(wheels).find((name) => /^pip-.*\.whl$/.test(name));
  if (wheel === undefined) throw new Error('Debian has no pip among its wheels: install python3-pip and try again.');
  return [join(wheels, wheel, 'pip')];
}
