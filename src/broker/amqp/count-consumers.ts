import { AgentError, asError } from '../../util/agent-errors.ts';
import { startDeadline } from '../../util/deadline.ts';
import { agentConnectionFault } from './agent-connection-fault.ts';
import type { AmqpAddresses } from './connect-in-turn.ts';
import { createOnDemandConnection } from './on-demand-connection.ts';

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
    return await deadline.race(
      connection.use(async (opened) => {
        const channel = await opened.createChannel();
        // Without a listener an error ends the process; the pending call rejects anyway.
        channel.on('error', () => undefined);
        return (await channel.checkQueue(queue)).consumerCount;
      }),
    );
  } catch (error) {
    signal.throwIfAborted();
    // NOT_FOUND
    if (error instanceof Error && 'code' in error && error.code === 404) return 0;
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
