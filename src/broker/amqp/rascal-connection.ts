import { promisify } from 'node:util';
import { credentials } from 'amqplib';
import type { BrokerConfig, PublicationConfig, PublicationSession, SubscriptionSession, VhostConfig } from 'rascal';
import { asError } from '../../util/agent-errors.ts';
import type { AmqpTarget } from '../../contract/url.ts';
import { patchAmqplibCallbacks } from './amqplib-callback-workaround.ts';
import { agentConnectionFault } from './agent-connection-fault.ts';
import { type AmqpAddresses, connectInTurn, type OfferedTarget, openTargets } from './connect-in-turn.ts';
import { CLOSE_TIMEOUT_MS, socketOptionsOf } from './connection.ts';
import { createRascalBroker, shutDownRascalBroker, withoutReconnect } from './rascal-workarounds.ts';

interface RascalConnectionOptions extends AmqpAddresses {
  /** In place of the path of the URLs. */
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
 * Connects to the first address that can be used, without reconnects, and declares `vhostConfig`.
 *
 * @throws the error of rascal, also when the signal aborts; nothing is left open
 */
export async function connectRascal(
  options: RascalConnectionOptions,
  vhostConfig: VhostConfig,
  signal?: AbortSignal,
): Promise<RascalConnection> {
  return await connectInTurn(
    openTargets(options),
    (offered) => connectOnce(options, offered, vhostConfig, signal),
    (error) => signal?.aborted !== true && agentConnectionFault(error) !== undefined,
  );
}

async function connectOnce(
  options: RascalConnectionOptions,
  { target, lost: reportLoss }: OfferedTarget,
  vhostConfig: VhostConfig,
  signal: AbortSignal | undefined,
): Promise<RascalConnection> {
  signal?.throwIfAborted();
  patchAmqplibCallbacks();
  const sockets = new AbortController();
  const cut = (): void => sockets.abort();
  signal?.addEventListener('abort', cut, { once: true });
  const config = withoutReconnect(brokerConfigOf(options, target, vhostConfig, sockets.signal));
  const broker = await createRascalBroker(config, { cut, closeMs: CLOSE_TIMEOUT_MS, signal }).finally(() =>
    signal?.removeEventListener('abort', cut),
  );
  const lost = new Promise<Error>((resolve) => {
    broker.on('error', (error: unknown) => resolve(asError(error)));
    broker.on('close', () => resolve(new Error(`RabbitMQ closed the connection "${options.connectionName}".`)));
  });
  let isClosing = false;
  void lost.then((reason) => {
    if (!isClosing) reportLoss(reason);
  });
  return {
    publish: promisify<string, Buffer | string, PublicationConfig, PublicationSession>(broker.publish.bind(broker)),
    subscribe: promisify<string, SubscriptionSession>(broker.subscribe.bind(broker)),
    lost,
    close() {
      isClosing = true;
      return shutDownRascalBroker(broker, cut, CLOSE_TIMEOUT_MS);
    },
  };
}

function brokerConfigOf(
  options: RascalConnectionOptions,
  target: AmqpTarget,
  vhostConfig: VhostConfig,
  signal: AbortSignal,
): BrokerConfig {
  const { vhost } = options;
  const { protocol, hostname, port, username, password, vhost: _path, ...parameters } = target;
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
