import { EventEmitter } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import rascal from 'rascal';
import type { BrokerAsPromised, BrokerConfig, PublicationConfig } from 'rascal';
import { contractNames } from '../contract/names.ts';
import { AgentError } from '../errors.ts';
import type { Secret } from '../secret.ts';
import type { PublicationHandle } from './event-publisher.ts';
import { topologyOf } from './topology.ts';

/** What {@link openRascalSession} needs. */
export interface RascalSessionSettings {
  /** The agent's own account; its path is the vhost. */
  readonly amqpUrl: Secret;
  readonly id: string;
  /** The methods that the agent serves. */
  readonly methods: readonly string[];
  /** Certificates to trust, in PEM, instead of the system's. */
  readonly ca?: string;
}

/** One connection of rascal, with the topology declared. */
export interface RascalSession {
  publish(message: Buffer | string, overrides: PublicationConfig): Promise<PublicationHandle>;
  /** Resolves when the connection is lost, with the reason. */
  readonly lost: Promise<Error>;
  close(): Promise<void>;
}

const CONNECT_TIMEOUT_MS = 10_000;
const HEARTBEAT_SECONDS = 10;
const CLOSE_TIMEOUT_MS = 2000;
const EVENTS = 'events';

/**
 * Connects and declares the topology, once. rascal's own reconnecting is off: it ignores the configured delays (up to a
 * minute passes), and on a broker that came back empty it would declare the queues before their limits are there.
 *
 * rascal only declares and publishes here. It must never consume what strangers publish: one header is enough to close
 * its connection again and again.
 *
 * @throws AgentError `BrokerUnavailable`.
 */
export async function openRascalSession(settings: RascalSessionSettings): Promise<RascalSession> {
  // Ends the connection when rascal does not, or not in time.
  const sockets = new AbortController();
  let broker: BrokerAsPromised;
  try {
    broker = await rascal.BrokerAsPromised.create(configOf(settings, sockets.signal));
  } catch (failure) {
    await shutDownHalfMade(failure);
    sockets.abort();
    const reason = failure instanceof Error ? failure.message : String(failure);
    throw new AgentError(
      'BrokerUnavailable',
      `RabbitMQ does not take the agent's topology (${reason}). Check RABBITMQ_URL, and remove an exchange or a queue of the same name that somebody declared otherwise.`,
    );
  }
  const lost = new Promise<Error>((resolve) => {
    broker.on('error', (error: unknown) => resolve(error instanceof Error ? error : new Error(String(error))));
    broker.on('close', () => resolve(new Error('RabbitMQ closed the connection for topology and events.')));
  });
  return {
    publish: (message, overrides) => broker.publish(EVENTS, message, overrides),
    lost,
    async close() {
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

function configOf(settings: RascalSessionSettings, signal: AbortSignal): BrokerConfig {
  const { amqpUrl, id, methods, ca } = settings;
  const url = new URL(amqpUrl.reveal());
  const vhost = vhostOf(amqpUrl);
  const secure = url.protocol === 'amqps:';
  const socketOptions = {
    timeout: CONNECT_TIMEOUT_MS,
    clientProperties: { connection_name: `${id} topology and events` },
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
        ...topologyOf(id, methods),
        publications: {
          [EVENTS]: {
            exchange: contractNames(id).eventsExchange,
            confirm: true,
            // Nobody need be listening to events.
            options: { persistent: true, mandatory: false },
          },
        },
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
