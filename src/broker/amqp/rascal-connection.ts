import { promisify } from 'node:util';
import { credentials } from 'amqplib';
import type { BrokerConfig, PublicationConfig, PublicationSession, SubscriptionSession, VhostConfig } from 'rascal';
import { asError } from '../../util/agent-errors.ts';
import type { Secret } from '../../util/secret.ts';
import { patchAmqplibCallbacks } from './amqplib-callback-workaround.ts';
import { CLOSE_TIMEOUT_MS, socketOptionsOf, targetOf } from './connection.ts';
import { createRascalBroker, shutDownRascalBroker, withoutReconnect } from './rascal-workarounds.ts';

interface RascalConnectionOptions {
  /** The agent's own account; its path is not used. */
  readonly amqpUrl: Secret;
  readonly vhost: string;
  /** The name that RabbitMQ shows for the connection. */
  readonly connectionName: string;
  /** Trusted certificates in PEM, instead of the system's. */
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
  /** Resolves with the reason when the connection is lost. */
  readonly lost: Promise<Error>;
  /** Closes it; cuts it when RabbitMQ does not answer in time. */
  readonly close: () => Promise<void>;
}

/**
 * Connects once, without reconnects, and declares `vhostConfig`.
 *
 * @throws the error of rascal, also when the signal aborts; nothing is left open
 */
export async function connectRascal(
  options: RascalConnectionOptions,
  vhostConfig: VhostConfig,
  signal?: AbortSignal,
): Promise<RascalConnection> {
  signal?.throwIfAborted();
  patchAmqplibCallbacks();
  const sockets = new AbortController();
  const cut = (): void => sockets.abort();
  signal?.addEventListener('abort', cut, { once: true });
  const config = withoutReconnect(brokerConfigOf(options, vhostConfig, sockets.signal));
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

function brokerConfigOf(options: RascalConnectionOptions, vhostConfig: VhostConfig, signal: AbortSignal): BrokerConfig {
  const { amqpUrl, vhost } = options;
  const { protocol, hostname, port, username, password, vhost: _path, ...parameters } = targetOf(amqpUrl);
  const socketOptions = { ...socketOptionsOf(options, signal), credentials: credentials.plain(username, password) };
  return {
    vhosts: {
      [vhost]: {
        connection: {
          protocol,
          hostname,
          port: String(port),
          // Not in the URL that rascal makes: amqplib would decode it as Latin-1.
          user: '',
          password: '',
          // rascal puts it into a URL without encoding it.
          vhost: encodeURIComponent(vhost),
          options: parameters,
          socketOptions,
        },
        publicationChannelPools: { regularPool: { min: 0 }, confirmPool: { min: 0 } },
        ...vhostConfig,
      },
    },
  };
}
