import { accessSync, constants, existsSync, realpathSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { AgentError } from '../src/util/agent-errors.ts';
import { installWithApt } from './apt-install.ts';
import { unpackWithApt } from './apt-unpack.ts';
import { type DebianProgram, ensureDebianProgram } from './debian-program.ts';

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

/** The message where RabbitMQ can be neither found nor installed. */
export const INSTALL_ADVICE =
  'RabbitMQ is not installed and cannot be installed from here: install the package rabbitmq-server (3.10 or newer, with Erlang) and try again.';

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
  try {
    return await ensureDebianProgram(RABBITMQ, join(options.cacheFolder, 'unpacked'), options);
  } catch (cause) {
    options.signal?.throwIfAborted();
    throw new AgentError('BrokerUnavailable', INSTALL_ADVICE, { cause });
  }
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

const RABBITMQ: DebianProgram<RabbitMQInstallation> = {
  name: 'rabbitmq-server',
  inSystem: () => debianInstallation(SYSTEM),
  unpackedIn: (folder) => debianInstallation(unpackedFolders(folder)),
  install: installWithApt,
  unpack: (folder, options) => unpackWithApt({ folder, ...options }),
};

function unpackedFolders(folder: string): DebianFolders {
  return {
    bin: join(folder, 'usr/lib/rabbitmq/bin'),
    erlang: join(folder, 'usr/lib/erlang/bin'),
    libraries: join(folder, 'lib-links'),
  };
}

function debianInstallation(folders: DebianFolders): RabbitMQInstallation | undefined {
  if (!isComplete(folders)) return undefined;
  const { bin, erlang, libraries } = folders;
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
