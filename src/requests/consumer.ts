import type { Channel, ChannelModel, ConsumeMessage, RecoveringChannelModel } from 'amqplib';
import { CLOSE_TIMEOUT_MS, closeConnection } from '../broker/amqp/close-connection.ts';
import { openRecoveringConnection, type RecoveringConnectionSettings } from '../broker/amqp/recovering-connection.ts';
import { waitAtMost } from '../util/deadline.ts';
import { AgentError } from '../util/agent-errors.ts';
import type { Log } from '../util/log.ts';
import type { Delivery } from './request.ts';
import { outliveUnreadableHeaders } from '../broker/amqp/amqplib-header-workaround.ts';

/** What is done with a delivery when it was served: `reject` leaves it to the queue's dead-letter exchange. */
export type Verdict = 'ack' | 'reject' | 'requeue';

/** What the consumer works with. */
export interface ConsumerParts extends RecoveringConnectionSettings {
  readonly queues: readonly { readonly name: string; readonly prefetch: number }[];
  /** Serves one delivery. It does not throw. */
  readonly serve: (delivery: Delivery) => Promise<Verdict>;
  readonly log: Log;
  /** Called when one of the queues is not there. It is looked for again until it is. */
  readonly onQueueGone?: () => void;
  /** Called with every connection to the broker but the first. */
  readonly onReconnect?: () => void;
}

/** Takes requests from the broker. */
export interface Consumer {
  /** Whether requests are taken at the moment. */
  readonly consuming: boolean;
  /** Takes no more, and waits at most `deadlineMs` for those that are being served. */
  drain(deadlineMs: number): Promise<void>;
  /** Closes the connection, by force when that takes more than a moment; the broker gives what is in hand to others. */
  close(): Promise<void>;
}

/**
 * Starts to consume, over a connection on which nothing is published: during an alarm the broker stops reading a
 * connection that publishes, and with it the acks.
 *
 * @throws Error when the first connection fails; AgentError `BrokerRefused` when the account may not read the queues.
 */
export async function startConsumer(parts: ConsumerParts): Promise<Consumer> {
  const { connection, sockets } = await openRecoveringConnection(parts);
  const consumer = new RequestConsumer(connection, sockets, parts);
  await connection.waitForConnect();
  try {
    await consumer.started;
  } catch (error) {
    await consumer.close();
    throw error;
  }
  return consumer;
}

class RequestConsumer implements Consumer {
  readonly #connection: RecoveringChannelModel;
  readonly #sockets: AbortController;
  readonly #parts: ConsumerParts;
  readonly #inHand = new Set<Promise<void>>();
  readonly started: Promise<void>;
  #channels: { channel: Channel; consumerTag: string }[] = [];
  #connections = 0;
  #stopping = false;
  #onStarted: () => void = () => undefined;
  #onRefused: (error: AgentError) => void = () => undefined;

  constructor(connection: RecoveringChannelModel, sockets: AbortController, parts: ConsumerParts) {
    this.#connection = connection;
    this.#sockets = sockets;
    this.#parts = parts;
    this.started = new Promise((resolve, reject) => {
      this.#onStarted = resolve;
      this.#onRefused = reject;
    });
    // It may be refused before anybody waits for it.
    this.started.catch(() => undefined);
    connection.on('error', (error: Error) =>
      parts.log.warn({ code: 'request_connection_error', err: error }, 'error on the request connection'),
    );
    // Without this listener an error thrown by the consumer would close the connection.
    connection.on('handler-error', (error: Error) =>
      parts.log.error({ code: 'request_handler_threw', err: error }, 'a request handler threw'),
    );
    connection.on('disconnect', (error: Error) => {
      this.#channels = [];
      parts.log.warn({ code: 'request_connection_lost', err: error }, 'lost the request connection');
    });
    // Not in `setup`: a message that kills the connection there would leave it dead for good.
    connection.on('connect', (model: ChannelModel) => void this.#consume(model));
  }

  get consuming(): boolean {
    return this.#channels.length > 0;
  }

  async drain(deadlineMs: number): Promise<void> {
    this.#stopping = true;
    const cancelled = this.#channels.map(({ channel, consumerTag }) =>
      channel.cancel(consumerTag).catch(() => undefined),
    );
    const drained = async (): Promise<void> => {
      // Until RabbitMQ has answered, more may come.
      await waitAtMost(CLOSE_TIMEOUT_MS, Promise.all(cancelled));
      await Promise.all(this.#inHand);
    };
    await waitAtMost(deadlineMs, drained());
  }

  async close(): Promise<void> {
    this.#stopping = true;
    await closeConnection(this.#connection, this.#sockets);
  }

  async #consume(model: ChannelModel): Promise<void> {
    this.#connections += 1;
    outliveUnreadableHeaders(model);
    try {
      const channels = [];
      for (const { name, prefetch } of this.#parts.queues) {
        const channel = await model.createChannel();
        channel.on('error', (error: Error) =>
          this.#parts.log.warn({ code: 'request_channel_error', err: error }, 'error on the request channel'),
        );
        channel.on('close', () => this.#reopen(model));
        await channel.prefetch(prefetch);
        const { consumerTag } = await channel.consume(name, (message) => this.#take(model, channel, message));
        channels.push({ channel, consumerTag });
      }
      this.#channels = channels;
      this.#onStarted();
      if (this.#connections > 1) this.#parts.onReconnect?.();
    } catch (error) {
      // Without effect once it has started: a right that is taken away may be given back.
      if (codeOf(error) === ACCESS_REFUSED) this.#onRefused(refused(error));
      if (codeOf(error) === NOT_FOUND) this.#parts.onQueueGone?.();
      this.#parts.log.warn(
        { code: 'requests_not_consumed', err: error },
        'cannot consume requests; will retry with the next connection',
      );
      this.#reopen(model);
    }
  }

  #take(model: ChannelModel, channel: Channel, message: ConsumeMessage | null): void {
    if (message === null) {
      this.#parts.onQueueGone?.();
      this.#reopen(model);
      return;
    }
    const { exchange, routingKey, redelivered } = message.fields;
    const delivery = { content: message.content, exchange, routingKey, redelivered, properties: message.properties };
    const served = this.#parts
      .serve(delivery)
      .then((verdict) => {
        if (verdict === 'ack') channel.ack(message);
        else channel.nack(message, false, verdict === 'requeue');
      })
      .catch((error: unknown) => {
        // The channel closed meanwhile: the broker delivers the message again.
        this.#parts.log.debug(
          { code: 'request_channel_closed', err: error },
          'a request was served on a closed channel',
        );
      })
      .finally(() => this.#inHand.delete(served));
    this.#inHand.add(served);
  }

  /** A channel can be gone while its connection lives; one way to start again is enough. */
  #reopen(model: ChannelModel): void {
    if (!this.#stopping) void model.close().catch(() => undefined);
  }
}

const ACCESS_REFUSED = 403;
const NOT_FOUND = 404;

function refused(error: unknown): AgentError {
  const reason = error instanceof Error ? error.message : String(error);
  return new AgentError(
    'BrokerRefused',
    `RabbitMQ does not let the agent's account read its queues (${reason}). Give it the permissions that docs/operations.md names.`,
  );
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}
