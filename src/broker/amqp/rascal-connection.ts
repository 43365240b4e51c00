import { promisify } from 'node:util';
import type { BrokerConfig, PublicationConfig, PublicationSession, SubscriptionSession, VhostConfig } from 'rascal';
import { asError } from '../../util/agent-errors.ts';
import type { Secret } from '../../util/secret.ts';
import { patchAmqplibCallbacks } from './amqplib-callback-workaround.ts';
import { CLOSE_TIMEOUT_MS, CONNECTION_TIMEOUTS, socketOptionsOf } from './connection.ts';
import { createRascalBroker, shutDownRascalBroker, withoutReconnect } from './rascal-workarounds.ts';

interface RascalConnectionOptions {
  /** The agent's own account; its path is not used. */
  readonly amqpUrl: Secret;
  /** The name that RabbitMQ shows for the connection. */
  readonly connectionName: string;
  /** Trusted certificates in PEM, instead of the system's. */
  readonly ca?: string | undefined;
}

/** What to declare, publish to and consume in each vhost, by the name of the vhost. */
export type VhostConfigs = Readonly<Record<string, VhostConfig>>;

/** A connection of rascal, or one for each vhost. */
export interface RascalConnection {
  readonly publish: (
    publication: string,
    message: Buffer | string,
    overrides: PublicationConfig,
  ) => Promise<PublicationSession>;
  readonly subscribe: (subscription: string) => Promise<SubscriptionSession>;
  /** Resolves with the reason when the connection is lost. */
  readonly lost: Promise<Error>;
  /** Closes it; cuts it when RabbitMQ does not answer in time. */
  readonly close: () => Promise<void>;
}

/**
 * Connects to each vhost once, without reconnects, and declares what its configuration says.
 *
 * @throws the error of rascal, also when the signal aborts; nothing is left open
 */
export async function connectRascal(
  options: RascalConnectionOptions,
  vhosts: VhostConfigs,
  signal?: AbortSignal,
): Promise<RascalConnection> {
  signal?.throwIfAborted();
  patchAmqplibCallbacks();
  const sockets = new AbortController();
  const cut = (): void => sockets.abort();
  signal?.addEventListener('abort', cut, { once: true });
  const config = withoutReconnect(brokerConfigOf(options, vhosts, sockets.signal));
  const broker = await createRascalBroker(config, cut, CLOSE_TIMEOUT_MS).finally(() =>
    signal?.removeEventListener('abort', cut),
  );
  const lost = new Promise<Error>((resolve) => {
    broker.on('error', (error: unknown) => resolve(asError(error)));
    broker.on('close', () => resolve(new Error(`RabbitMQ closed the connection "${options.connectionName}".`)));
  });
  return {
    publish: promisify<string, Buffer | string, PublicationConfig, PublicationSession>(broker.publish.bind(broker)),
    subscribe: promisify<string, SubscriptionSession>(broker.subscribe.bind(broker)),
    lost,
    close: () => shutDownRascalBroker(broker, cut, CLOSE_TIMEOUT_MS),
  };
}

function brokerConfigOf(options: RascalConnectionOptions, vhosts: VhostConfigs, signal: AbortSignal): BrokerConfig {
  const { amqpUrl } = options;
  const url = new URL(amqpUrl.reveal());
  const isSecure = url.protocol === 'amqps:';
  const connection = {
    protocol: isSecure ? 'amqps' : 'amqp',
    hostname: url.hostname.replace(/^\[|\]$/g, ''),
    port: url.port || (isSecure ? '5671' : '5672'),
    user: decodeURIComponent(url.username),
    password: decodeURIComponent(url.password),
    options: { heartbeat: CONNECTION_TIMEOUTS.heartbeatSeconds, ...Object.fromEntries(url.searchParams) },
    socketOptions: socketOptionsOf(options, signal),
  };
  const publicationChannelPools = { regularPool: { min: 0 }, confirmPool: { min: 0 } };
  const configs = Object.entries(vhosts).map(([vhost, config]) => [
    vhost,
    // rascal puts the vhost into a URL without encoding it.
    { connection: { ...connection, vhost: encodeURIComponent(vhost) }, publicationChannelPools, ...config },
  ]);
  return { vhosts: Object.fromEntries(configs) };
}
