import { accessSync, constants, existsSync, realpathSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { AgentError } from '../src/util/agent-errors.ts';
import { installWithApt } from './apt-install.ts';
import { unpackWithApt } from './apt-unpack.ts';
import { findExecutable } from './processes.ts';

/** The programs of an installation that are run here. */
export type BrokerProgram = 'epmd' | 'rabbitmq-server' | (typeof BROKER_COMMANDS)[number];

/** The programs for the command line. */
export const BROKER_COMMANDS = ['rabbitmqctl', 'rabbitmq-diagnostics', 'rabbitmq-plugins', 'rabbitmq-queues'] as const;

/** A RabbitMQ on this machine that can run as a child process. */
export interface RabbitMQInstallation {
  /** What runs a program; its arguments follow. */
  command(program: BrokerProgram): readonly [file: string, ...args: string[]];
  /** Where its programs have to be run; anywhere when absent. */
  readonly workingFolder?: string;
  /** Variables that its programs need. */
  readonly environment: Readonly<Record<string, string>>;
}

/** What decides how to get RabbitMQ. */
export interface InstallFindings {
  /** RabbitMQ is installed in the system. */
  readonly system: boolean;
  /** The cache folder holds an unpacked RabbitMQ. */
  readonly unpacked: boolean;
  /** This process runs as root. */
  readonly root: boolean;
  /** The machine has `apt-get` and `dpkg-deb`. */
  readonly apt: boolean;
}

/** A way to get RabbitMQ. */
export type InstallStep = 'use-system' | 'use-unpacked' | 'apt-install' | 'apt-unpack';

/** The message where RabbitMQ can be neither found nor installed. */
export const INSTALL_ADVICE =
  'RabbitMQ is not installed and cannot be installed from here: install the package rabbitmq-server (3.10 or newer, with Erlang) and try again.';

/** Decides which ways to try, in this order; none: a person has to install RabbitMQ. An existing one takes precedence. */
export function decideInstallSteps(found: InstallFindings): InstallStep[] {
  if (found.system) return ['use-system'];
  if (found.unpacked) return ['use-unpacked'];
  if (!found.apt) return [];
  // Root may be unable to install, for example where /usr is read-only; unpacking needs no privileges.
  return found.root ? ['apt-install', 'apt-unpack'] : ['apt-unpack'];
}

/**
 * The script that `RABBITMQ_SERVER` names, or else RabbitMQ as it is found, or installed from Debian's packages: as root into
 * the system, without starting its service; as an unprivileged user by unpacking the downloaded packages into `cacheFolder`.
 *
 * @throws AgentError `BrokerUnavailable` with what to install when neither is possible
 */
export async function ensureRabbitMQ(options: {
  cacheFolder: string;
  onProgress?: (line: string) => void;
  signal?: AbortSignal;
}): Promise<RabbitMQInstallation> {
  const script = process.env[SERVER_VARIABLE];
  if (script !== undefined && script !== '') return namedInstallation(script);
  const onProgress = options.onProgress ?? (() => undefined);
  const unpackedFolder = join(options.cacheFolder, 'unpacked');
  const steps = decideInstallSteps({
    system: isComplete(SYSTEM),
    unpacked: isComplete(unpackedFolders(unpackedFolder)),
    root: process.getuid?.() === 0,
    apt: findExecutable('apt-get') !== undefined && findExecutable('dpkg-deb') !== undefined,
  });

  let cause: unknown;
  for (const step of steps) {
    try {
      if (step === 'apt-install') await installWithApt({ onProgress, ...pick(options.signal) });
      if (step === 'apt-unpack') await unpackWithApt({ folder: unpackedFolder, onProgress, ...pick(options.signal) });
      const unpacked = step === 'apt-unpack' || step === 'use-unpacked';
      const folders = unpacked ? unpackedFolders(unpackedFolder) : SYSTEM;
      if (isComplete(folders)) return debianInstallation(folders);
      cause = new Error(`${step} did not provide ${folders.bin}/rabbitmq-server.`);
    } catch (error) {
      options.signal?.throwIfAborted();
      cause = error;
    }
    onProgress(`${step} failed: ${cause instanceof Error ? cause.message : String(cause)}`);
  }
  throw new AgentError('BrokerUnavailable', INSTALL_ADVICE, { cause });
}

/** Names a script that runs the programs of another RabbitMQ; see CONTRIBUTING.md. */
const SERVER_VARIABLE = 'RABBITMQ_SERVER';

function namedInstallation(script: string): RabbitMQInstallation {
  const file = resolve(script);
  try {
    accessSync(file, constants.X_OK);
  } catch (cause) {
    throw new AgentError('BrokerUnavailable', `${SERVER_VARIABLE} names ${script}, which is no executable file.`, {
      cause,
    });
  }
  return { command: (program) => [file, program], environment: {} };
}

/** The folders of Debian's packages of RabbitMQ and Erlang. */
interface DebianFolders {
  /** The scripts that do not change the user. */
  readonly bin: string;
  /** `erl` and `epmd`. */
  readonly erlang: string;
  /** Shared libraries that the system does not have. */
  readonly libraries?: string;
}

// Not /usr/sbin/rabbitmq-server, which changes to the user rabbitmq.
const SYSTEM: DebianFolders = { bin: '/usr/lib/rabbitmq/bin', erlang: '/usr/bin' };

function unpackedFolders(folder: string): DebianFolders {
  return {
    bin: join(folder, 'usr/lib/rabbitmq/bin'),
    erlang: join(folder, 'usr/lib/erlang/bin'),
    libraries: join(folder, 'lib-links'),
  };
}

function debianInstallation({ bin, erlang, libraries }: DebianFolders): RabbitMQInstallation {
  // The scripts in `bin` are links.
  const scripts = dirname(realpathSync(join(bin, 'rabbitmq-server')));
  const libraryPath = [libraries ?? '', process.env['LD_LIBRARY_PATH'] ?? ''].filter(Boolean).join(':');
  return {
    command: (program) => [join(program === 'epmd' ? erlang : scripts, program)],
    workingFolder: scripts,
    environment: {
      PATH: `${erlang}:${process.env['PATH'] ?? ''}`,
      ...(libraryPath === '' ? {} : { LD_LIBRARY_PATH: libraryPath }),
      // The scripts fail with spaces in their path; they run in their own folder and need no path.
      RABBITMQ_SCRIPTS_DIR: '.',
      // Debian's rabbitmq-plugins 4.0 knows this folder only through the script that changes the user.
      RABBITMQ_PLUGINS_DIR: join(scripts, '../plugins'),
    },
  };
}

function isComplete({ bin, erlang }: DebianFolders): boolean {
  return [join(bin, 'rabbitmq-server'), join(erlang, 'erl'), join(erlang, 'epmd')].every((file) => existsSync(file));
}

function pick(signal: AbortSignal | undefined): { signal?: AbortSignal } {
  return signal === undefined ? {} : { signal };
}
