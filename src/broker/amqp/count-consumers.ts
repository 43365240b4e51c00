import { AgentError, asError } from '../../util/agent-errors.ts';
import { startDeadline } from '../../util/deadline.ts';
import { agentConnectionFault } from './agent-connection-fault.ts';
import type { AmqpAddresses } from './connect-in-turn.ts';
import { createOnDemandConnection } from './on-demand-connection.ts';
import { countQueue } from './queue-counts.ts';

interface ConsumerCountOptions extends AmqpAddresses {
  /** The name that RabbitMQ shows for the connection. */
  readonly connectionName: string;
  /** Trusted certificates in PEM, instead of the system's. */
  readonly ca?: string | undefined;
}

/** How long it may take, in ms. */
const TIMEOUT_MS = 15_000;

/**
 * Counts the consumers of a queue now, by a passive declaration: a RabbitMQ without statistics refuses to list consumers
 * over the management API.
 *
 * @returns 0 when there is no such queue
 * @throws AgentError `BrokerUnavailable`, `BrokerRefused`; the signal's reason
 */
export async function countConsumers(
  options: ConsumerCountOptions,
  queue: string,
  signal: AbortSignal,
): Promise<number> {
  const connection = createOnDemandConnection(options);
  const deadline = startDeadline(TIMEOUT_MS, signal);
  try {
    return await deadline.race(connection.use(async (opened) => (await countQueue(opened, queue))?.consumers ?? 0));
  } catch (error) {
    signal.throwIfAborted();
    throw (
      agentConnectionFault(error) ??
      new AgentError(
        'BrokerUnavailable',
        `RabbitMQ does not say whether ${queue} has consumers (${asError(error).message}): check RABBITMQ_URL.`,
        { cause: error },
      )
    );
  } finally {
    deadline.clear();
    await connection.close();
  }
}
