import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePorts, portIsFree } from './processes.ts';
import type { RabbitMQInstallation } from './rabbitmq-install.ts';

/** What a private broker keeps between starts, in a file of its folder. */
export interface BrokerIdentity {
  readonly nodeName: string;
  readonly user: string;
  readonly password: string;
  readonly ports: { readonly amqp: number; readonly management: number; readonly dist: number; readonly epmd: number };
}

/** The plugins that the agent needs. */
const BASE_PLUGINS = ['rabbitmq_management', 'rabbitmq_event_exchange'];

/** Loads the identity in `folder`, with new ports if one of them is taken, or makes a new identity. */
export async function loadOrMakeIdentity(folder: string): Promise<BrokerIdentity> {
  const file = join(folder, 'identity.json');
  const kept = existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as BrokerIdentity) : undefined;
  if (kept !== undefined) {
    const free = await Promise.all(Object.values(kept.ports).map((port) => portIsFree(port)));
    if (free.every(Boolean)) return kept;
  }
  const [amqp = 0, management = 0, dist = 0, epmd = 0] = await freePorts(4);
  const identity: BrokerIdentity = {
    nodeName: kept?.nodeName ?? 'pulse-dev@localhost',
    user: kept?.user ?? 'pulse-agent',
    password: kept?.password ?? randomBytes(18).toString('base64url'),
    ports: { amqp, management, dist, epmd },
  };
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  writeFileSync(file, JSON.stringify(identity), { mode: 0o600 });
  return identity;
}

/** Writes the files that the broker reads at its start into `folder`. */
export function writeBrokerFiles(
  folder: string,
  identity: BrokerIdentity,
  options: { plugins: readonly string[]; extraConfig: string },
): void {
  const home = join(folder, 'home');
  for (const sub of [home, join(folder, 'log'), join(folder, 'mnesia'), join(folder, 'conf.d')]) {
    mkdirSync(sub, { recursive: true, mode: 0o700 });
  }
  const cookie = join(home, '.erlang.cookie');
  if (!existsSync(cookie)) writeFileSync(cookie, randomBytes(24).toString('hex'), { mode: 0o400 });
  writeFileSync(join(folder, 'empty'), '');
  const plugins = [...new Set([...BASE_PLUGINS, ...options.plugins])];
  writeFileSync(join(folder, 'enabled_plugins'), `[${plugins.join(',')}].\n`);
  rmSync(join(folder, 'rabbitmq.conf'), { force: true });
  writeFileSync(
    join(folder, 'rabbitmq.conf'),
    [
      `listeners.tcp.1 = 127.0.0.1:${identity.ports.amqp}`,
      'management.tcp.ip = 127.0.0.1',
      `management.tcp.port = ${identity.ports.management}`,
      // Used at the first start only: later ones find the user in the database.
      `default_user = ${identity.user}`,
      `default_pass = ${identity.password}`,
      'log.console = false',
      `log.file = ${join(folder, 'log/node.log')}`,
      options.extraConfig,
      '',
    ].join('\n'),
    { mode: 0o600 },
  );
}

/** The environment in which the broker, its epmd and its command line find only each other. */
export function brokerEnvironment(
  folder: string,
  identity: BrokerIdentity,
  installation: RabbitMQInstallation,
): NodeJS.ProcessEnv {
  const inherited = Object.entries(process.env).filter(
    ([name]) => !/^(?:RABBITMQ_|ERL_|ERLANG|NODE_OPTIONS$)/.test(name),
  );
  const libraries = [...installation.libraryFolders, process.env['LD_LIBRARY_PATH'] ?? ''].filter(Boolean).join(':');
  const loopback = '-kernel inet_dist_use_interface {127,0,0,1}';
  return {
    ...Object.fromEntries(inherited),
    ...(libraries === '' ? {} : { LD_LIBRARY_PATH: libraries }),
    PATH: `${installation.erlangFolder}:${process.env['PATH'] ?? ''}`,
    HOME: join(folder, 'home'),
    LANG: 'C.UTF-8',
    LC_ALL: 'C.UTF-8',
    RABBITMQ_NODENAME: identity.nodeName,
    RABBITMQ_CONF_ENV_FILE: join(folder, 'empty'),
    RABBITMQ_CONFIG_FILE: join(folder, 'rabbitmq.conf'),
    // The default of these two is /etc/rabbitmq, which belongs to the system's broker.
    RABBITMQ_CONFIG_FILES: join(folder, 'conf.d/*.conf'),
    RABBITMQ_ADVANCED_CONFIG_FILE: join(folder, 'advanced.config'),
    RABBITMQ_MNESIA_BASE: join(folder, 'mnesia'),
    RABBITMQ_LOG_BASE: join(folder, 'log'),
    // Debian's rabbitmq-plugins 4.0 knows this folder only through the script that changes the user.
    RABBITMQ_PLUGINS_DIR: join(realpathSync(join(installation.binFolder, 'rabbitmq-server')), '../../plugins'),
    RABBITMQ_ENABLED_PLUGINS_FILE: join(folder, 'enabled_plugins'),
    RABBITMQ_DIST_PORT: String(identity.ports.dist),
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: loopback,
    RABBITMQ_CTL_ERL_ARGS: loopback,
    ERL_EPMD_PORT: String(identity.ports.epmd),
    ERL_EPMD_ADDRESS: '127.0.0.1',
    ERL_CRASH_DUMP: join(folder, 'log/erl_crash.dump'),
    // The scripts fail with spaces in their path; they run in their own folder and need no path.
    RABBITMQ_SCRIPTS_DIR: '.',
    // Makes the start script `exec` the broker instead of staying its parent; needs no systemd.
    RUNNING_UNDER_SYSTEMD: 'true',
  };
}
