import type { ChannelModel } from 'amqplib';
import { contractNames, pageEventsQueue } from '../../contract/names.ts';
import { AgentError, asError } from '../../util/agent-errors.ts';
import type { Sleep } from '../../util/clock.ts';
import { untilAborted } from '../../util/deadline.ts';
import { backoffMs } from '../../util/retry.ts';
import { agentConnectionFault } from './agent-connection-fault.ts';
import type { AmqpAddresses } from './connect-in-turn.ts';
import { createOnDemandConnection } from './on-demand-connection.ts';

interface AgentEventsConsumerOptions extends AmqpAddresses {
  readonly id: string;
  readonly instance: string;
  /** The vhost of the exchange of agent events. */
  readonly vhost: string;
  /** Trusted certificates in PEM, instead of the system's. */
  readonly ca?: string | undefined;
  readonly sleep: Sleep;
  /** Takes one event. It must not throw. */
  readonly onEvent: (content: Buffer) => void;
  /** Events arrive, for the first time or again. Those since the last time are lost. */
  readonly onConsuming: () => void;
  /** No events arrive; the consumer tries again. */
  readonly onLost: (reason: AgentError) => void;
}

/** Takes the events of all agents. */
export interface AgentEventsConsumer {
  start(): void;
  close(): Promise<void>;
}

/** An agent that reads none of them for long has the broker drop the oldest, not keep more. */
const QUEUE_ARGUMENTS = { 'x-queue-type': 'classic', 'x-max-length': 1000, 'x-overflow': 'drop-head' } as const;

const PAUSES = { firstMs: 250, maxMs: 30_000 } as const;

/**
 * Creates the consumer. Its queue is exclusive and has a new name for each connection: RabbitMQ deletes it with the connection,
 * so that nothing is left of it and no other user can read it, and a connection that hangs does not lock the next one out.
 */
export function createAgentEventsConsumer(options: AgentEventsConsumerOptions): AgentEventsConsumer {
  const { id, instance, sleep, onConsuming, onLost } = options;
  const closing = new AbortController();
  const { signal } = closing;
  const connection = createOnDemandConnection({ ...options, connectionName: `${id} page events` });
  let running: Promise<void> | undefined;
  let sessions = 0;
  let hasConsumed = false;

  /** Rejects with the reason when no more events arrive. */
  const consume = async (model: ChannelModel): Promise<never> => {
    sessions += 1;
    const lost = await openQueue(model, pageEventsQueue(id, `${instance}-${sessions}`), options);
    hasConsumed = true;
    onConsuming();
    return await lost();
  };
  const run = async (): Promise<void> => {
    for (let failures = 1; !signal.aborted; failures += 1) {
      try {
        await untilAborted(connection.use(consume), signal);
      } catch (error) {
        if (signal.aborted) return;
        onLost(describe(error, options));
      }
      await connection.close();
      if (hasConsumed) failures = 1;
      hasConsumed = false;
      await sleep(backoffMs(failures, PAUSES), signal).catch(() => undefined);
    }
  };

  return {
    start() {
      running ??= run();
    },
    async close() {
      closing.abort(new AgentError('BrokerUnavailable', 'The agent stops.'));
      await connection.close();
      await running;
    },
  };
}

/** Resolves once events arrive, with what rejects when they do not any more. */
async function openQueue(
  model: ChannelModel,
  queue: string,
  { id, onEvent }: AgentEventsConsumerOptions,
): Promise<() => Promise<never>> {
  const channel = await model.createChannel();
  const lost = new Promise<never>((_resolve, reject) => {
    model.once('close', (reason?: Error) => reject(reason ?? new Error('The connection is closed.')));
    channel.on('error', reject);
    channel.on('close', () => reject(new Error('RabbitMQ closed the channel.')));
  });
  // It may reject before it is awaited.
  lost.catch(() => undefined);
  await channel.assertQueue(queue, { exclusive: true, durable: false, autoDelete: true, arguments: QUEUE_ARGUMENTS });
  await channel.bindQueue(queue, contractNames(id).eventsExchange, '#');
  await channel.consume(
    queue,
    (message) => {
      if (message !== null) onEvent(message.content);
      // The queue was deleted.
      else void channel.close().catch(() => undefined);
    },
    { noAck: true, exclusive: true },
  );
  return () => lost;
}

function describe(error: unknown, { id, vhost }: AgentEventsConsumerOptions): AgentError {
  const fault = agentConnectionFault(error);
  if (fault !== undefined) return fault;
  const reason = asError(error).message.trim();
  if (/ACCESS[_-]REFUSED/.test(reason)) {
    return new AgentError(
      'BrokerRefused',
      `RabbitMQ does not let the agent consume the events of all agents (${reason}). In the vhost "${vhost}" its account needs configure, write and read on ${pageEventsQueue(id, '.*')}, and read on ${contractNames(id).eventsExchange}.`,
      { cause: error },
    );
  }
  return new AgentError('BrokerUnavailable', `The events of other agents do not arrive (${reason}).`, { cause: error });
}
