import { EventEmitter } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import rascal from 'rascal';
import type { BrokerAsPromised, BrokerConfig, VhostConfig } from 'rascal';
import type { Secret } from '../secret.ts';
import { CLOSE_TIMEOUT_MS } from './close-connection.ts';

/** What {@link connectRascal} needs. */
export interface RascalConnectionSettings {
  /** The agent's own account; its path is the vhost, unless `vhost` names another. */
  readonly amqpUrl: Secret;
  readonly vhost?: string;
  /** What RabbitMQ shows the connection as. */
  readonly connectionName: string;
  /** Certificates to trust, in PEM, instead of the system's. */
  readonly ca?: string | undefined;
}

/** A connection of rascal. */
export interface RascalConnection {
  readonly broker: BrokerAsPromised;
  /** Resolves when the connection is lost, with the reason. */
  readonly lost: Promise<Error>;
  /** Closes it, by force when it takes more than a moment. */
  readonly close: () => Promise<void>;
}

const CONNECT_TIMEOUT_MS = 10_000;
const HEARTBEAT_SECONDS = 10;

/**
 * Connects once and declares what `vhostConfig` says. rascal's own reconnecting is off: it ignores the configured delays
 * (up to a minute passes), and on a broker that came back empty it would declare the queues before their limits are
 * there.
 *
 * Rejects with what rascal rejects with; nothing is left open then.
 */
export async function connectRascal(
  settings: RascalConnectionSettings,
  vhostConfig: VhostConfig,
): Promise<RascalConnection> {
  // Ends the connection when rascal does not, or not in time.
  const sockets = new AbortController();
  let broker: BrokerAsPromised;
  try {
    broker = await rascal.BrokerAsPromised.create(configOf(settings, vhostConfig, sockets.signal));
  } catch (failure) {
    await shutDownHalfMade(failure);
    sockets.abort();
    throw failure;
  }
  const lost = new Promise<Error>((resolve) => {
    broker.on('error', (error: unknown) => resolve(error instanceof Error ? error : new Error(String(error))));
    broker.on('close', () => resolve(new Error(`RabbitMQ closed the connection "${settings.connectionName}".`)));
  });
  return {
    broker,
    lost,
    close: async () => {
      await Promise.race([
        broker.shutdown().catch(() => undefined),
        delay(CLOSE_TIMEOUT_MS, undefined, { ref: false }),
      ]);
      sockets.abort();
    },
  };
}

/** The vhost in an AMQP URL. */
export function vhostOf(amqpUrl: Secret): string {
  const { pathname } = new URL(amqpUrl.reveal());
  return pathname.length > 1 ? decodeURIComponent(pathname.slice(1)) : '/';
}

function configOf(settings: RascalConnectionSettings, vhostConfig: VhostConfig, signal: AbortSignal): BrokerConfig {
  const { amqpUrl, connectionName, ca } = settings;
  const url = new URL(amqpUrl.reveal());
  const vhost = settings.vhost ?? vhostOf(amqpUrl);
  const secure = url.protocol === 'amqps:';
  const socketOptions = {
    timeout: CONNECT_TIMEOUT_MS,
    clientProperties: { connection_name: connectionName },
    signal,
    ...(ca === undefined ? {} : { ca: [ca] }),
  };
  const config: BrokerConfig = {
    vhosts: {
      [vhost]: {
        connection: {
          protocol: secure ? 'amqps' : 'amqp',
          hostname: url.hostname.replace(/^\[|\]$/g, ''),
          port: url.port || (secure ? '5671' : '5672'),
          user: decodeURIComponent(url.username),
          password: decodeURIComponent(url.password),
          // rascal puts it into a URL as it stands.
          vhost: encodeURIComponent(vhost),
          options: { heartbeat: HEARTBEAT_SECONDS, ...Object.fromEntries(url.searchParams) },
          socketOptions,
        },
        publicationChannelPools: { regularPool: { min: 0 }, confirmPool: { min: 0 } },
        ...vhostConfig,
      },
    },
  };
  // A connection's own `retry` is ignored, and the types do not know where the one is that counts.
  return Object.assign(config, { defaults: { vhosts: { connection: { retry: false } } } });
}

/** rascal hands a broker that failed to start along with the error, under a symbol; it holds a timer. */
async function shutDownHalfMade(failure: unknown): Promise<void> {
  if (!(failure instanceof Error)) return;
  const halves: unknown[] = Object.getOwnPropertySymbols(failure).map((key) => Reflect.get(failure, key));
  const half = halves.find(isBroker);
  if (half === undefined) return;
  half.on('error', ignore);
  await half.shutdown().catch(ignore);
}

function isBroker(value: unknown): value is BrokerAsPromised {
  return value instanceof EventEmitter && 'shutdown' in value;
}

function ignore(): void {}
