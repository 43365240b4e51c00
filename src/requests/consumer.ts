import type { Channel, ChannelModel, ConsumeMessage, RecoveringChannelModel } from 'amqplib';
import { CLOSE_TIMEOUT_MS, closeConnection } from '../broker/amqp/connection.ts';
import { openRecoveringConnection, type RecoveringConnectionOptions } from '../broker/amqp/recovering-connection.ts';
import { waitAtMost } from '../util/deadline.ts';
import { AgentError } from '../util/agent-errors.ts';
import type { Log } from '../util/log.ts';
import type { Delivery } from './request.ts';
import { bodyBytesOf, limitBodies } from '../broker/amqp/amqplib-body-limit.ts';
import { tolerateUndecodableHeaders } from '../broker/amqp/amqplib-header-workaround.ts';
import { MAX_REQUEST_BYTES } from '../contract/names.ts';

/** How a served delivery is acknowledged: `reject` leaves it to the queue's dead-letter exchange. */
export type Acknowledgement = 'ack' | 'reject' | 'requeue';

/** What to consume, over which connection. */
export interface ConsumerOptions extends RecoveringConnectionOptions {
  /** The first is the request queue. */
  readonly queues: readonly { readonly name: string; readonly prefetch: number }[];
  /** Serves one delivery. It must not throw. */
  readonly serve: (delivery: Delivery) => Promise<Acknowledgement>;
  readonly log: Log;
  /** Called when one of the queues does not exist. The consumer retries until it does. */
  readonly onQueueGone?: () => void;
}

/** Takes requests from the broker. */
export interface Consumer {
  /** Whether requests are consumed now. */
  readonly consuming: boolean;
  /** From now on takes what no other agent takes, or, with false, its share again. */
  defer(isDeferring: boolean): void;
  /** Whether another agent consumes the request queue. Resolves when `defer` has had its effect. */
  hasOthers(): Promise<boolean>;
  /** Takes no more requests, and waits at most `deadlineMs` for those in progress. */
  drain(deadlineMs: number): Promise<void>;
  /** Closes the connection, by force if the broker does not answer. The broker requeues unacknowledged requests. */
  close(): Promise<void>;
}

/**
 * Starts to consume, over a connection that never publishes: during an alarm RabbitMQ stops reading from connections that
 * publish, and would not read the acks.
 *
 * @throws Error when the first connection fails; AgentError `BrokerRefused` when the account may not read the queues.
 */
export async function startConsumer(options: ConsumerOptions): Promise<Consumer> {
  const { connection, sockets } = await openRecoveringConnection(options);
  const consumer = new RequestConsumer(connection, sockets, options);
  await connection.waitForConnect();
  try {
    await consumer.started;
  } catch (error) {
    await consumer.close();
    throw error;
  }
  return consumer;
}

/** A queue that is consumed from. */
interface Consumed {
  readonly model: ChannelModel;
  readonly channel: Channel;
  consumerTag: string;
  /** Whether it takes only what no other agent takes. */
  isDeferred: boolean;
}

class RequestConsumer implements Consumer {
  readonly #connection: RecoveringChannelModel;
  readonly #sockets: AbortController;
  readonly #options: ConsumerOptions;
  readonly #inProgress = new Set<Promise<void>>();
  readonly started: Promise<void>;
  #channels: Consumed[] = [];
  #isDeferring = false;
  #deferring: Promise<void> = Promise.resolve();
  #stopping = false;
  #onStarted: () => void = () => undefined;
  #onRefused: (error: AgentError) => void = () => undefined;

  constructor(connection: RecoveringChannelModel, sockets: AbortController, options: ConsumerOptions) {
    this.#connection = connection;
    this.#sockets = sockets;
    this.#options = options;
    this.started = new Promise((resolve, reject) => {
      this.#onStarted = resolve;
      this.#onRefused = reject;
    });
    // It may reject before the caller awaits it.
    this.started.catch(() => undefined);
    connection.on('error', (error: Error) =>
      options.log.warn({ code: 'request_connection_error', err: error }, 'error on the request connection'),
    );
    // Without this listener an error thrown by the consumer would close the connection.
    connection.on('handler-error', (error: Error) =>
      options.log.error({ code: 'request_handler_threw', err: error }, 'a request handler threw'),
    );
    connection.on('disconnect', (error: Error) => {
      this.#channels = [];
      options.log.warn({ code: 'request_connection_lost', err: error }, 'lost the request connection');
    });
    // Not in `setup`: a message that closes the connection there would leave it closed forever.
    connection.on('connect', (model: ChannelModel) => void this.#consume(model));
  }

  get consuming(): boolean {
    return this.#channels.length > 0;
  }

  defer(isDeferring: boolean): void {
    this.#isDeferring = isDeferring;
    // One change after the other: of two at the same time, one would leave its consumer to the broker.
    this.#deferring = this.#deferring.then(() => this.#changePriority());
  }

  async hasOthers(): Promise<boolean> {
    await this.#deferring;
    const [consumed] = this.#channels;
    if (consumed === undefined) return false;
    const { consumerCount } = await consumed.channel.checkQueue(this.#requestQueue);
    return consumerCount > 1;
  }

  async drain(deadlineMs: number): Promise<void> {
    this.#stopping = true;
    const cancelled = this.#channels.map(({ channel, consumerTag }) =>
      channel.cancel(consumerTag).catch(() => undefined),
    );
    const drained = async (): Promise<void> => {
      // Until RabbitMQ has confirmed, more may arrive.
      await waitAtMost(CLOSE_TIMEOUT_MS, Promise.all(cancelled));
      await Promise.all(this.#inProgress);
    };
    await waitAtMost(deadlineMs, drained());
  }

  async close(): Promise<void> {
    this.#stopping = true;
    await closeConnection(this.#connection, this.#sockets);
  }

  get #requestQueue(): string {
    return this.#options.queues[0]?.name ?? '';
  }

  /** RabbitMQ delivers to a consumer of lower priority only what those of a higher one cannot take. */
  async #consumeQueue(model: ChannelModel, channel: Channel, name: string): Promise<Consumed> {
    const isDeferred = this.#isDeferring && name === this.#requestQueue;
    const { consumerTag } = await channel.consume(
      name,
      (message) => this.#take(model, channel, message),
      isDeferred ? { priority: DEFERRED_PRIORITY } : {},
    );
    return { model, channel, consumerTag, isDeferred };
  }

  /**
   * Replaces the consumer if it has the other priority. It is cancelled first, so that what goes back to the queue from now on
   * finds it gone.
   */
  async #changePriority(): Promise<void> {
    const [consumed] = this.#channels;
    if (consumed === undefined || consumed.isDeferred === this.#isDeferring || this.#stopping) return;
    const { model, channel, consumerTag } = consumed;
    try {
      const cancelled = channel.cancel(consumerTag);
      // When the channel closes, the next call fails first, and this one is not awaited.
      cancelled.catch(() => undefined);
      Object.assign(consumed, await this.#consumeQueue(model, channel, this.#requestQueue));
      await cancelled;
      if (this.#stopping) await channel.cancel(consumed.consumerTag);
    } catch (error) {
      // The channel has closed: the next connection consumes with the present priority.
      this.#options.log.debug({ code: 'request_channel_closed', err: error }, 'could not change the priority');
    }
  }

  async #consume(model: ChannelModel): Promise<void> {
    tolerateUndecodableHeaders(model);
    limitBodies(model, MAX_REQUEST_BYTES);
    try {
      const channels = [];
      for (const { name, prefetch } of this.#options.queues) {
        const channel = await model.createChannel();
        channel.on('error', (error: Error) =>
          this.#options.log.warn({ code: 'request_channel_error', err: error }, 'error on the request channel'),
        );
        channel.on('close', () => this.#reopen(model));
        await channel.prefetch(prefetch);
        channels.push(await this.#consumeQueue(model, channel, name));
      }
      this.#channels = channels;
      // It may have changed since the request queue is consumed.
      this.defer(this.#isDeferring);
      this.#onStarted();
    } catch (error) {
      // Fails the start only; later on, the permission may be granted again.
      if (codeOf(error) === ACCESS_REFUSED) this.#onRefused(accessRefused(error));
      if (codeOf(error) === NOT_FOUND) this.#options.onQueueGone?.();
      this.#options.log.warn(
        { code: 'requests_not_consumed', err: error },
        'cannot consume requests; will retry with the next connection',
      );
      this.#reopen(model);
    }
  }

  #take(model: ChannelModel, channel: Channel, message: ConsumeMessage | null): void {
    if (message === null) {
      this.#options.onQueueGone?.();
      this.#reopen(model);
      return;
    }
    const { content, properties, fields } = message;
    const { exchange, routingKey, redelivered } = fields;
    const bodyBytes = bodyBytesOf(message);
    const delivery = { content, bodyBytes, exchange, routingKey, redelivered, properties };
    const served = this.#options
      .serve(delivery)
      .then((acknowledgement) => {
        if (acknowledgement === 'ack') channel.ack(message);
        else channel.nack(message, false, acknowledgement === 'requeue');
      })
      .catch((error: unknown) => {
        // The channel has closed: the broker delivers the message again.
        this.#options.log.debug(
          { code: 'request_channel_closed', err: error },
          'a request was served on a closed channel',
        );
      })
      .finally(() => this.#inProgress.delete(served));
    this.#inProgress.add(served);
  }

  /** A channel can close without its connection. Closing the connection, too, leaves one way to recover. */
  #reopen(model: ChannelModel): void {
    if (!this.#stopping) void model.close().catch(() => undefined);
  }
}

/** Less than the default, which is 0. */
const DEFERRED_PRIORITY = -1;

const ACCESS_REFUSED = 403;
const NOT_FOUND = 404;

function accessRefused(error: unknown): AgentError {
  const reason = error instanceof Error ? error.message : String(error);
  return new AgentError(
    'BrokerRefused',
    `RabbitMQ does not let the agent's account read its queues (${reason}). Give it the permissions that docs/operations.md names.`,
    { cause: error },
  );
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}
