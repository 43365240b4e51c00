import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePorts, portIsFree } from './processes.ts';
import type { RabbitMQInstallation } from './rabbitmq-install.ts';

/** What a private node keeps between starts, in a file of its folder. */
export interface BrokerIdentity {
  readonly nodeName: string;
  /** The folder of the Erlang cookie, where nodes share it; otherwise one in the folder of the node. */
  readonly home?: string;
  /** Options of the Erlang virtual machine. */
  readonly erlangArguments?: string;
  readonly user: string;
  readonly password: string;
  readonly ports: { readonly amqp: number; readonly management: number; readonly dist: number; readonly epmd: number };
}

/** The plugins that the agent needs. */
const BASE_PLUGINS = ['rabbitmq_management', 'rabbitmq_event_exchange'];

/** Loads the identity in `folder`, with new ports if one of them is taken, or makes a new identity. */
export async function loadOrMakeIdentity(folder: string): Promise<BrokerIdentity> {
  const kept = keptIdentity(folder);
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
  keepIdentity(folder, identity);
  return identity;
}

/** Keeps the identity of the node in `folder`. */
export function keepIdentity(folder: string, identity: BrokerIdentity): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  writeFileSync(identityFile(folder), JSON.stringify(identity), { mode: 0o600 });
}

/** The identity of the node in `folder`, if one was kept. */
export function keptIdentity(folder: string): BrokerIdentity | undefined {
  const file = identityFile(folder);
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as BrokerIdentity) : undefined;
}

function identityFile(folder: string): string {
  return join(folder, 'identity.json');
}

/** The HOME of the node in `folder`, of its epmd and of its commands. */
export function homeOf(folder: string, identity: Pick<BrokerIdentity, 'home'>): string {
  return identity.home ?? join(folder, 'home');
}

/** Writes the files that a node reads at its start into `folder`. */
export function writeBrokerFiles(
  folder: string,
  identity: BrokerIdentity,
  options: { plugins: readonly string[]; extraConfig: string },
): void {
  const home = homeOf(folder, identity);
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

/** The environment in which a node, its epmd and its commands find only each other. */
export function brokerEnvironment(
  folder: string,
  identity: BrokerIdentity,
  installation: RabbitMQInstallation,
): NodeJS.ProcessEnv {
  const inherited = Object.entries(process.env).filter(
    ([name]) => !/^(?:RABBITMQ_|ERL_|ERLANG|NODE_OPTIONS$)/.test(name),
  );
  const loopback = '-kernel inet_dist_use_interface {127,0,0,1}';
  return {
    ...Object.fromEntries(inherited),
    ...installation.environment,
    HOME: homeOf(folder, identity),
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
    RABBITMQ_ENABLED_PLUGINS_FILE: join(folder, 'enabled_plugins'),
    RABBITMQ_DIST_PORT: String(identity.ports.dist),
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: [loopback, identity.erlangArguments ?? ''].join(' ').trim(),
    RABBITMQ_CTL_ERL_ARGS: loopback,
    ERL_EPMD_PORT: String(identity.ports.epmd),
    ERL_EPMD_ADDRESS: '127.0.0.1',
    ERL_CRASH_DUMP: join(folder, 'log/erl_crash.dump'),
    // Makes the start script `exec` the broker instead of staying its parent; needs no systemd.
    RUNNING_UNDER_SYSTEMD: 'true',
  };
}
