import type { PublicationConfig, VhostConfig } from 'rascal';
import { contractNames } from '../../contract/names.ts';
import { AgentError, asError } from '../../util/agent-errors.ts';
import type { PublicationHandle } from './event-publisher.ts';
import { agentConnectionFault } from './agent-connection-fault.ts';
import type { AmqpAddresses } from './connect-in-turn.ts';
import { connectRascal, type RascalConnection } from './rascal-connection.ts';
import { eventsTopology, requestTopology } from './topology.ts';

export interface TopologySessionOptions extends AmqpAddresses {
  /** The vhost of the tenants. */
  readonly vhost: string;
  readonly requestVhost: string;
  readonly id: string;
  /** The methods that the agent serves. */
  readonly methods: readonly string[];
  /** Trusted certificates in PEM, instead of the system's. */
  readonly ca?: string | undefined;
}

/** The connection for agent events, opened after the topology was declared. */
export interface TopologySession {
  publish(message: Buffer | string, overrides: PublicationConfig): Promise<PublicationHandle>;
  /** Resolves with the reason when the connection is lost. */
  readonly lost: Promise<Error>;
  close(): Promise<void>;
}

const EVENTS = 'events';

/**
 * Declares the topology of the requests on a connection that it closes again, then connects for the events.
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
  const { amqpUrl, addressChoice, id, vhost, requestVhost, methods, ca } = options;
  const account = { amqpUrl, addressChoice, ca };
  try {
    const requests = { ...account, vhost: requestVhost, connectionName: `${id} topology of requests` };
    await (await connectRascal(requests, { ...requestTopology(id, methods) }, signal)).close();
    const events = { ...account, vhost, connectionName: `${id} topology and events` };
    return sessionOf(await connectRascal(events, eventsConfigOf(id), signal));
  } catch (error) {
    throw describe(error);
  }
}

function eventsConfigOf(id: string): VhostConfig {
  return {
    ...eventsTopology(id),
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
  const fault = agentConnectionFault(error);
  if (fault !== undefined) return fault;
  const reason = asError(error).message.trim();
  if (/ACCESS[_-]REFUSED/.test(reason)) {
    return new AgentError(
      'BrokerRefused',
      `RabbitMQ does not let the agent's account declare its topology (${reason}). Give the account the permissions that docs/operations.md lists.`,
      { cause: error },
    );
  }
  return new AgentError(
    'BrokerUnavailable',
    `RabbitMQ does not accept the agent's topology (${reason}). ${adviceOn(reason)}`,
    { cause: error },
  );
}

/** Only a declaration that RabbitMQ compared with what exists is a reason to delete something. */
function adviceOn(reason: string): string {
  return /PRECONDITION[_-]FAILED|inequivalent/i.test(reason)
    ? 'Delete the exchange or the queue of the same name that another client declared differently.'
    : "Check RabbitMQ's log.";
}
