import { contractNames } from '../../contract/names.ts';
import { changeAmqpUrls } from '../../contract/url.ts';
import { rejectAfter } from '../../util/deadline.ts';
import { Secret } from '../../util/secret.ts';
import type { AmqpAddresses } from './connect-in-turn.ts';
import { createOnDemandConnection } from './on-demand-connection.ts';

interface EventCauseOptions extends AmqpAddresses {
  readonly id: string;
  /** The vhost of the event exchange, and so of the queues. */
  readonly eventVhost: string;
  /** Trusted certificates in PEM, instead of the system's. */
  readonly ca?: string | undefined;
  /** How long it may take to cause one, in ms; 10 seconds when absent. */
  readonly timeoutMs?: number;
}

const TIMEOUT_MS = 10_000;

/** Makes RabbitMQ send events. */
export interface EventCause {
  /**
   * Makes RabbitMQ send one, `consumer.deleted`: another consumer of the queue that no tenant can fill comes and goes. It needs
   * no right that the agent does not have. Resolves when it is gone; of several agents any may get the event.
   * Rejects when RabbitMQ does not answer in time: while one is awaited, no other is caused.
   */
  cause(): Promise<void>;
  close(): Promise<void>;
}

/** Creates it; nothing is open while nothing is caused. rascal would keep listeners for every consumer that has gone. */
export function createEventCause(options: EventCauseOptions): EventCause {
  const { id, amqpUrl, eventVhost, timeoutMs = TIMEOUT_MS } = options;
  const connection = createOnDemandConnection({
    ...options,
    amqpUrl: new Secret(changeAmqpUrls(amqpUrl.reveal(), { vhost: eventVhost })),
    connectionName: `${id} broker events, proof`,
  });
  const comeAndGo = (): Promise<void> =>
    connection.use(async (opened) => {
      const channel = await opened.createChannel();
      // Without a listener an error ends the process; the call that waits rejects anyway.
      channel.on('error', () => undefined);
      await channel.prefetch(1);
      const { consumerTag } = await channel.consume(contractNames(id).brokerEventsQueue, () => undefined, {
        // It takes nothing while the consumers of agents can.
        priority: -1,
      });
      await channel.cancel(consumerTag);
      // What it took all the same goes back into the queue.
      await channel.close();
    });
  return {
    async cause() {
      try {
        await rejectAfter(timeoutMs, comeAndGo());
      } catch (error) {
        // A connection without answers must not be used again.
        await connection.close();
        throw error;
      }
    },
    close: () => connection.close(),
  };
}
