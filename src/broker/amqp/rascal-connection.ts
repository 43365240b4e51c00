import { promisify } from 'node:util';
import rascal from 'rascal';
import type {
  Broker,
  BrokerConfig,
  PublicationConfig,
  PublicationSession,
  SubscriptionSession,
  VhostConfig,
} from 'rascal';
import { waitAtMost } from '../../util/deadline.ts';
import type { Secret } from '../../util/secret.ts';
import { patchAmqplibCallbacks } from './amqplib-patch.ts';
import { CLOSE_TIMEOUT_MS } from './close-connection.ts';
import { CONNECTION_TIMEOUTS } from './connection-timeouts.ts';

/** What {@link connectRascal} needs. */
export interface RascalConnectionOptions {
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
  readonly publish: (
    publication: string,
    message: Buffer | string,
    overrides: PublicationConfig,
  ) => Promise<PublicationSession>;
  readonly subscribe: (subscription: string) => Promise<SubscriptionSession>;
  /** Resolves when the connection is lost, with the reason. */
  readonly lost: Promise<Error>;
  /** Closes it, by force when it takes more than a moment. */
  readonly close: () => Promise<void>;
}

/**
 * Connects once and declares what `vhostConfig` says. rascal's own reconnecting is off: it ignores the configured delays
 * (up to a minute passes), and on a broker that came back empty it would declare the queues before their limits are
 * there.
 *
 * Rejects with what rascal rejects with, also when the signal aborts before it is done; nothing is left open then.
 */
export async function connectRascal(
  settings: RascalConnectionOptions,
  vhostConfig: VhostConfig,
  signal?: AbortSignal,
): Promise<RascalConnection> {
  signal?.throwIfAborted();
  patchAmqplibCallbacks();
  // Ends the connection when rascal does not, or not in time.
  const sockets = new AbortController();
  const cut = (): void => sockets.abort();
  signal?.addEventListener('abort', cut, { once: true });
  const { broker, failure } = await create(configOf(settings, vhostConfig, sockets.signal));
  signal?.removeEventListener('abort', cut);
  const close = async (): Promise<void> => {
    if (broker !== undefined) await waitAtMost(CLOSE_TIMEOUT_MS, promisify(broker.shutdown.bind(broker))());
    cut();
    endTimer(broker);
  };
  if (broker === undefined || failure !== undefined) {
    broker?.on('error', () => undefined);
    await close();
    throw failure ?? new Error('rascal made no connection.');
  }
  const lost = new Promise<Error>((resolve) => {
    broker.on('error', (error: unknown) => resolve(error instanceof Error ? error : new Error(String(error))));
    broker.on('close', () => resolve(new Error(`RabbitMQ closed the connection "${settings.connectionName}".`)));
  });
  return {
    publish: promisify<string, Buffer | string, PublicationConfig, PublicationSession>(broker.publish.bind(broker)),
    subscribe: promisify<string, SubscriptionSession>(broker.subscribe.bind(broker)),
    lost,
    close,
  };
}

/** The vhost in an AMQP URL. */
export function vhostOf(amqpUrl: Secret): string {
  const { pathname } = new URL(amqpUrl.reveal());
  return pathname.length > 1 ? decodeURIComponent(pathname.slice(1)) : '/';
}

function configOf(settings: RascalConnectionOptions, vhostConfig: VhostConfig, signal: AbortSignal): BrokerConfig {
  const { amqpUrl, connectionName, ca } = settings;
  const url = new URL(amqpUrl.reveal());
  const vhost = settings.vhost ?? vhostOf(amqpUrl);
  const secure = url.protocol === 'amqps:';
  const socketOptions = {
    timeout: CONNECTION_TIMEOUTS.connectTimeoutMs,
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
          options: { heartbeat: CONNECTION_TIMEOUTS.heartbeatSeconds, ...Object.fromEntries(url.searchParams) },
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

/** rascal hands out a broker that failed to start, too: it holds a timer. */
async function create(config: BrokerConfig): Promise<{ readonly broker?: Broker; readonly failure?: Error }> {
  return await new Promise((resolve) => {
    rascal.createBroker(config, (failure, broker) => {
      const made = broker === undefined ? {} : { broker };
      resolve(failure === null ? made : { ...made, failure });
    });
  });
}

/** What keeps the process until rascal has shut down, which it never has where RabbitMQ did not answer. */
function endTimer(broker: Broker | undefined): void {
  if (broker !== undefined && 'keepActive' in broker) clearInterval(broker.keepActive as NodeJS.Timeout);
}
