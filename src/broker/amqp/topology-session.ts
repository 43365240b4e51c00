import type { PublicationConfig, VhostConfig } from 'rascal';
import { contractNames } from '../../contract/names.ts';
import { AgentError, asError } from '../../util/agent-errors.ts';
import type { Secret } from '../../util/secret.ts';
import type { PublicationHandle } from './event-publisher.ts';
import { connectRascal, type RascalConnection } from './rascal-connection.ts';
import { topologyOf } from './topology.ts';

export interface TopologySessionOptions {
  /** The agent's own account; its path is the vhost. */
  readonly amqpUrl: Secret;
  readonly id: string;
  /** The methods that the agent serves. */
  readonly methods: readonly string[];
  /** Trusted certificates in PEM, instead of the system's. */
  readonly ca?: string | undefined;
}

/** One connection on which the topology is declared. */
export interface TopologySession {
  publish(message: Buffer | string, overrides: PublicationConfig): Promise<PublicationHandle>;
  /** Resolves with the reason when the connection is lost. */
  readonly lost: Promise<Error>;
  close(): Promise<void>;
}

const EVENTS = 'events';

/**
 * Connects and declares the topology, once.
 *
 * rascal only declares and publishes here. It must never consume what clients publish: one malformed header is enough to
 * close its connection, again at each redelivery.
 *
 * @throws AgentError `BrokerUnavailable`, also when the signal aborts; `BrokerRefused` when the account lacks a permission
 */
export async function openTopologySession(
  options: TopologySessionOptions,
  signal?: AbortSignal,
): Promise<TopologySession> {
  const { amqpUrl, id, methods, ca } = options;
  const connectionName = `${id} topology and events`;
  const connection = await connectRascal({ amqpUrl, connectionName, ca }, vhostConfigOf(id, methods), signal).catch(
    (error: unknown) => {
      throw describe(error);
    },
  );
  return sessionOf(connection);
}

function vhostConfigOf(id: string, methods: readonly string[]): VhostConfig {
  return {
    ...topologyOf(id, methods),
    publications: {
      [EVENTS]: {
        exchange: contractNames(id).eventsExchange,
        confirm: true,
        // An event without a subscriber is no error.
        options: { persistent: true, mandatory: false },
      },
    },
  };
}

function sessionOf(connection: RascalConnection): TopologySession {
  return {
    publish: (message, overrides) => connection.publish(EVENTS, message, overrides),
    lost: connection.lost,
    close: () => connection.close(),
  };
}

function describe(error: unknown): AgentError {
  const reason = asError(error).message;
  if (/ACCESS[_-]REFUSED/.test(reason)) {
    return new AgentError(
      'BrokerRefused',
      `RabbitMQ does not let the agent's account declare its topology (${reason}). Check the credentials in RABBITMQ_URL, and give the account the permissions that docs/operations.md lists.`,
      { cause: error },
    );
  }
  return new AgentError(
    'BrokerUnavailable',
    `RabbitMQ does not accept the agent's topology (${reason}). Check RABBITMQ_URL, and delete an exchange or a queue of the same name that another client declared differently.`,
    { cause: error },
  );
}
