import rascal from 'rascal';
import type { BrokerAsPromised, BrokerConfig, ConnectionConfig } from 'rascal';
import { contractNames } from '../contract/names.ts';
import { AgentError } from '../errors.ts';
import type { Secret } from '../secret.ts';
import { createEventPublisher } from './event-publisher.ts';
import type { PublishEvent } from './event-publisher.ts';
import { keepLimits } from './limits.ts';
import type { Management } from './management.ts';
import { topologyOf } from './topology.ts';

/** What {@link openAgentBroker} needs. */
export interface AgentBrokerSettings {
  /** The agent's own account; its path is the vhost. */
  readonly amqpUrl: Secret;
  readonly id: string;
  /** The methods that the agent serves. */
  readonly methods: readonly string[];
  readonly maxSkewSeconds: number;
  readonly management: Pick<Management, 'listPolicies' | 'putPolicy'>;
  /** How long an event may take, from the call to the broker's confirm. */
  readonly publishTimeoutMs?: number;
  /** The longest pause between two tries to connect again. */
  readonly maxReconnectDelayMs?: number;
  /** Certificates to trust, in PEM, instead of the system's. */
  readonly ca?: string;
  /** Faults that the broker object gets over by itself; for the log. */
  readonly onFault: (error: Error) => void;
}

/** The agent's own topology, kept, and its events, published. */
export interface AgentBroker {
  readonly publishEvent: PublishEvent;
  /**
   * Calls `listener` after each time the connection was lost and is back, with the topology declared and the limits
   * put again. Returns the function that ends this.
   */
  onReconnect(listener: () => void): () => void;
  close(): Promise<void>;
}

const CONNECT_TIMEOUT_MS = 10_000;
const HEARTBEAT_SECONDS = 10;

/**
 * Puts the limits, then declares the topology, in this order: the queues never exist without limits. Both are done
 * again at each reconnect, since a broker may come back empty.
 *
 * rascal only declares and publishes here. It must never consume what strangers publish: one header is enough to close
 * its connection again and again.
 *
 * @throws AgentError `BrokerUnavailable`, `BrokerRefused`.
 */
export async function openAgentBroker(settings: AgentBrokerSettings, signal?: AbortSignal): Promise<AgentBroker> {
  const { vhost, connection } = connectionOf(settings);
  const callOptions = signal === undefined ? {} : { signal };
  await keepLimits(settings.management, vhost, settings, callOptions);

  const broker = await createBroker(brokerConfig(settings, vhost, connection), signal);
  const listeners = new Set<() => void>();
  const closing = new AbortController();
  let connected = true;

  const comeBack = async (): Promise<void> => {
    try {
      await keepLimits(settings.management, vhost, settings, { signal: closing.signal });
    } catch (error) {
      if (closing.signal.aborted) return;
      settings.onFault(asError(error));
    }
    for (const listener of listeners) listener();
  };
  broker.on('error', (error: unknown) => settings.onFault(asError(error)));
  broker.on('disconnect', () => {
    connected = false;
  });
  broker.on('vhost_initialised', () => {
    connected = true;
    void comeBack();
  });

  return {
    publishEvent: createEventPublisher({
      publish: (message, overrides) => broker.publish(EVENTS, message, overrides),
      isConnected: () => connected,
      timeoutMs: settings.publishTimeoutMs ?? 10_000,
    }),
    onReconnect(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    async close() {
      closing.abort();
      listeners.clear();
      await broker.shutdown().catch((error: unknown) => settings.onFault(asError(error)));
    },
  };
}

const EVENTS = 'events';

function brokerConfig(settings: AgentBrokerSettings, vhost: string, connection: ConnectionConfig): BrokerConfig {
  return {
    vhosts: {
      [vhost]: {
        connection,
        // rascal's own pool of channels without confirms stays empty: everything here is confirmed.
        publicationChannelPools: { regularPool: { min: 0 }, confirmPool: { min: 0 } },
        ...topologyOf(settings.id, settings.methods),
        publications: {
          [EVENTS]: {
            exchange: contractNames(settings.id).eventsExchange,
            confirm: true,
            // Nobody need be listening to events.
            options: { persistent: true, mandatory: false },
          },
        },
      },
    },
  };
}

function connectionOf({ amqpUrl, id, maxReconnectDelayMs, ca }: AgentBrokerSettings): {
  vhost: string;
  connection: ConnectionConfig;
} {
  const url = new URL(amqpUrl.reveal());
  const vhost = url.pathname.length > 1 ? decodeURIComponent(url.pathname.slice(1)) : '/';
  const secure = url.protocol === 'amqps:';
  return {
    vhost,
    connection: {
      protocol: secure ? 'amqps' : 'amqp',
      hostname: url.hostname.replace(/^\[|\]$/g, ''),
      port: url.port || (secure ? '5671' : '5672'),
      user: decodeURIComponent(url.username),
      password: decodeURIComponent(url.password),
      // rascal puts it into a URL as it stands.
      vhost: encodeURIComponent(vhost),
      options: { heartbeat: HEARTBEAT_SECONDS, ...Object.fromEntries(url.searchParams) },
      socketOptions: {
        timeout: CONNECT_TIMEOUT_MS,
        clientProperties: { connection_name: `${id} topology and events` },
        ...(ca === undefined ? {} : { ca: [ca] }),
      },
      retry: { min: 250, max: maxReconnectDelayMs ?? 5000, factor: 2, strategy: 'exponential' },
    },
  };
}

async function createBroker(config: BrokerConfig, signal?: AbortSignal): Promise<BrokerAsPromised> {
  signal?.throwIfAborted();
  try {
    return await rascal.BrokerAsPromised.create(config);
  } catch (error) {
    await shutDownHalfMade(error);
    const { message } = asError(error);
    throw new AgentError(
      'BrokerUnavailable',
      `RabbitMQ does not take the agent's topology (${message}). Check RABBITMQ_URL, and remove an exchange or a queue of the same name that somebody declared otherwise.`,
    );
  }
}

/** rascal hands a broker that failed to start along with the error, under a symbol; it holds a timer. */
async function shutDownHalfMade(failure: unknown): Promise<void> {
  if (!(failure instanceof Error)) return;
  const values: unknown[] = Object.getOwnPropertySymbols(failure).map((key) => Reflect.get(failure, key));
  const half = values.find((value) => value instanceof rascal.BrokerAsPromised);
  if (half === undefined) return;
  half.on('error', ignore);
  await half.shutdown().catch(ignore);
}

function ignore(): void {}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
