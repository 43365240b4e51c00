import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { AgentError } from '../src/util/agent-errors.ts';
import { installWithApt } from './apt-install.ts';
import { unpackWithApt } from './apt-unpack.ts';
import { findExecutable } from './processes.ts';

/** A RabbitMQ on this machine that can run as a child process. */
export interface RabbitMQInstallation {
  /** Folder of `rabbitmq-server` and `rabbitmqctl`: the scripts that do not change the user. */
  readonly binFolder: string;
  /** Folder of `erl` and `epmd`. */
  readonly erlangFolder: string;
  /** Folders of shared libraries that the system does not have. */
  readonly libraryFolders: readonly string[];
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
 * Finds RabbitMQ, or installs it from Debian's packages: as root into the system, without starting its service; as an
 * unprivileged user by unpacking the downloaded packages into `cacheFolder`.
 *
 * @throws AgentError `BrokerUnavailable` with what to install when neither is possible
 */
export async function ensureRabbitMQ(options: {
  cacheFolder: string;
  onProgress?: (line: string) => void;
  signal?: AbortSignal;
}): Promise<RabbitMQInstallation> {
  const onProgress = options.onProgress ?? (() => undefined);
  const unpackedFolder = join(options.cacheFolder, 'unpacked');
  const steps = decideInstallSteps({
    system: isComplete(systemInstallation),
    unpacked: isComplete(unpackedInstallation(unpackedFolder)),
    root: process.getuid?.() === 0,
    apt: findExecutable('apt-get') !== undefined && findExecutable('dpkg-deb') !== undefined,
  });

  let cause: unknown;
  for (const step of steps) {
    try {
      if (step === 'apt-install') await installWithApt({ onProgress, ...pick(options.signal) });
      if (step === 'apt-unpack') await unpackWithApt({ folder: unpackedFolder, onProgress, ...pick(options.signal) });
      const unpacked = step === 'apt-unpack' || step === 'use-unpacked';
      const installation = unpacked ? unpackedInstallation(unpackedFolder) : systemInstallation;
      if (isComplete(installation)) return installation;
      cause = new Error(`${step} did not provide ${installation.binFolder}/rabbitmq-server.`);
    } catch (error) {
      options.signal?.throwIfAborted();
      cause = error;
    }
    onProgress(`${step} failed: ${cause instanceof Error ? cause.message : String(cause)}`);
  }
  throw new AgentError('BrokerUnavailable', INSTALL_ADVICE, { cause });
}

const systemInstallation: RabbitMQInstallation = {
  // Not /usr/sbin/rabbitmq-server, which changes to the user rabbitmq.
  binFolder: '/usr/lib/rabbitmq/bin',
  erlangFolder: '/usr/bin',
  libraryFolders: [],
};

function unpackedInstallation(folder: string): RabbitMQInstallation {
  return {
    binFolder: join(folder, 'usr/lib/rabbitmq/bin'),
    erlangFolder: join(folder, 'usr/lib/erlang/bin'),
    libraryFolders: [join(folder, 'lib-links')],
  };
}

function isComplete(installation: RabbitMQInstallation): boolean {
  return (
    existsSync(join(installation.binFolder, 'rabbitmq-server')) &&
    existsSync(join(installation.erlangFolder, 'erl')) &&
    existsSync(join(installation.erlangFolder, 'epmd'))
  );
}

function pick(signal: AbortSignal | undefined): { signal?: AbortSignal } {
  return signal === undefined ? {} : { signal };
}
