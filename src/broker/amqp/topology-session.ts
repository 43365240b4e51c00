import type { PublicationConfig, VhostConfig } from 'rascal';
import { contractNames } from '../../contract/names.ts';
import { AgentError } from '../../util/agent-errors.ts';
import type { Secret } from '../../util/secret.ts';
import type { PublicationHandle } from './event-publisher.ts';
import { connectRascal, type RascalConnection } from './rascal-connection.ts';
import { topologyOf } from './topology.ts';

/** What {@link openTopologySession} needs. */
export interface TopologySessionOptions {
  /** The agent's own account; its path is the vhost. */
  readonly amqpUrl: Secret;
  readonly id: string;
  /** The methods that the agent serves. */
  readonly methods: readonly string[];
  /** Certificates to trust, in PEM, instead of the system's. */
  readonly ca?: string | undefined;
}

/** One connection of rascal, with the topology declared. */
export interface TopologySession {
  publish(message: Buffer | string, overrides: PublicationConfig): Promise<PublicationHandle>;
  /** Resolves when the connection is lost, with the reason. */
  readonly lost: Promise<Error>;
  close(): Promise<void>;
}

const EVENTS = 'events';

/**
 * Connects and declares the topology, once.
 *
 * rascal only declares and publishes here. It must never consume what strangers publish: one header is enough to close
 * its connection again and again.
 *
 * @throws AgentError `BrokerUnavailable`, also when the signal aborts meanwhile; `BrokerRefused` when the account may not.
 */
export async function openTopologySession(
  settings: TopologySessionOptions,
  signal?: AbortSignal,
): Promise<TopologySession> {
  const { amqpUrl, id, methods, ca } = settings;
  const vhostConfig: VhostConfig = {
    ...topologyOf(id, methods),
    publications: {
      [EVENTS]: {
        exchange: contractNames(id).eventsExchange,
        confirm: true,
        // Nobody need be listening to events.
        options: { persistent: true, mandatory: false },
      },
    },
  };
  let connection: RascalConnection;
  try {
    connection = await connectRascal(
      { amqpUrl, connectionName: `${id} topology and events`, ...(ca === undefined ? {} : { ca }) },
      vhostConfig,
      signal,
    );
  } catch (failure) {
    const reason = failure instanceof Error ? failure.message : String(failure);
    if (/ACCESS[_-]REFUSED/.test(reason)) {
      throw new AgentError(
        'BrokerRefused',
        `RabbitMQ does not let the agent's account have its topology (${reason}). Check the credentials in RABBITMQ_URL, and give the account the permissions that docs/operations.md names.`,
      );
    }
    throw new AgentError(
      'BrokerUnavailable',
      `RabbitMQ does not take the agent's topology (${reason}). Check RABBITMQ_URL, and remove an exchange or a queue of the same name that somebody declared otherwise.`,
    );
  }
  return {
    publish: (message, overrides) => connection.publish(EVENTS, message, overrides),
    lost: connection.lost,
    close: () => connection.close(),
  };
}
