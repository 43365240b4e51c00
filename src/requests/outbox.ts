import type { Duplex } from 'node:stream';
import type { ChannelModel, ConfirmChannel, Options, RecoveringChannelModel } from 'amqplib';
import { closeConnection } from '../broker/amqp/connection.ts';
import { openRecoveringConnection, type RecoveringConnectionOptions } from '../broker/amqp/recovering-connection.ts';
import { AgentError } from '../util/agent-errors.ts';
import type { Log } from '../util/log.ts';
import { isShortString } from './short-string.ts';

/** A reply, or a dead letter. */
export interface OutgoingMessage {
  /** `''` for a queue named by the routing key. */
  readonly exchange: string;
  readonly routingKey: string;
  readonly content: Buffer;
  readonly options: Options.Publish;
}

/**
 * The outcome of sending a message:
 * - `confirmed`: the broker has it;
 * - `refused`: the broker rejected it (a full queue), or it closed the connection while it was the only one in flight.
 */
export type ReplyOutcome = 'confirmed' | 'refused';

/** Where {@link openOutbox} connects to. */
export interface OutboxOptions extends RecoveringConnectionOptions {
  readonly log: Log;
  /** How long a message may stay unconfirmed, in ms; 30 s when absent. */
  readonly sendDeadlineMs?: number;
}

/** Three times as long as a client waits for its reply. In ms. */
const SEND_DEADLINE_MS = 30_000;

/** Sends messages over a separate connection, because a message may close it. */
export interface Outbox {
  /** Whether messages can be sent now. */
  readonly connected: boolean;
  /**
   * Resolves when the broker has confirmed or refused the message, however many connections that takes.
   *
   * @throws AgentError `Stopping` when the outbox is closed first; `BrokerUnavailable` when the message is not confirmed
   *   within the deadline. It is not sent again then, but may have been.
   */
  send(message: OutgoingMessage): Promise<ReplyOutcome>;
  /** Closes the connection, by force if the broker does not answer. */
  close(): Promise<void>;
}

interface Pending extends OutgoingMessage {
  settle(outcome: ReplyOutcome): void;
  fail(error: Error): void;
}

/** AMQP close codes that a message cannot have caused: normal shutdown, and closed by an operator. */
const NOT_THE_MESSAGE = new Set([200, 320]);

/** amqplib's error message for a nack. Any other error means that the channel is closed. */
const NACKED = 'message nacked';

/**
 * Opens the outbox. When its connection closes, it sends the unconfirmed messages again, one at a time. A message that
 * closes the connection again is refused; the rest are sent.
 */
export async function openOutbox(options: OutboxOptions): Promise<Outbox> {
  const { connection, sockets } = await openRecoveringConnection(options);
  const outbox = new ConnectionOutbox(connection, sockets, options);
  await connection.waitForConnect();
  return outbox;
}

/** For text that is too long amqplib throws as it does for a closed channel: the message would be sent again forever. */
function isSendable({ exchange, routingKey, options }: OutgoingMessage): boolean {
  const { contentType, correlationId, type } = options;
  const texts: unknown[] = [exchange, routingKey, contentType, correlationId, type];
  return texts.every((text) => typeof text !== 'string' || isShortString(text));
}

class ConnectionOutbox implements Outbox {
  readonly #connection: RecoveringChannelModel;
  readonly #sockets: AbortController;
  readonly #log: Log;
  readonly #deadlineMs: number;
  /** Sent and not confirmed, in the order of sending. */
  readonly #unconfirmed = new Set<Pending>();
  /** Not sent yet: there is no channel, or unconfirmed messages are sent again first. */
  readonly #waiting: Pending[] = [];
  #channel: ConfirmChannel | undefined;
  /** The message in flight, while messages are sent one at a time. */
  #alone: Pending | undefined;
  #closed = false;
  #model: ChannelModel | undefined;

  constructor(
    connection: RecoveringChannelModel,
    sockets: AbortController,
    { log, sendDeadlineMs = SEND_DEADLINE_MS }: OutboxOptions,
  ) {
    this.#deadlineMs = sendDeadlineMs;
    this.#connection = connection;
    this.#sockets = sockets;
    this.#log = log;
    connection.on('error', (error: Error) =>
      log.warn({ code: 'reply_connection_error', err: error }, 'error on the reply connection'),
    );
    connection.on('disconnect', (error: Error & { code?: number }) => this.#onDisconnect(error));
    connection.on('connect', (model: ChannelModel) => void this.#start(model));
  }

  get connected(): boolean {
    return this.#channel !== undefined;
  }

  send(message: OutgoingMessage): Promise<ReplyOutcome> {
    return new Promise((settle, fail) => {
      if (this.#closed) {
        fail(new AgentError('Stopping', 'The agent is stopping and sends no more messages.'));
        return;
      }
      if (!isSendable(message)) {
        this.#log.error(
          { code: 'reply_unsendable', routingKey: message.routingKey },
          'a reply has a property that AMQP cannot carry',
        );
        settle('refused');
        return;
      }
      const timer = setTimeout(() => this.#giveUp(pending), this.#deadlineMs);
      const pending: Pending = {
        ...message,
        settle(outcome) {
          clearTimeout(timer);
          settle(outcome);
        },
        fail(error) {
          clearTimeout(timer);
          fail(error);
        },
      };
      if (this.#channel === undefined) this.#waiting.push(pending);
      else this.#publish(this.#channel, pending);
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#channel = undefined;
    const left = [...this.#unconfirmed, ...this.#waiting.splice(0)];
    this.#unconfirmed.clear();
    for (const pending of left) {
      pending.fail(new AgentError('Stopping', 'The agent stopped before the broker confirmed the message.'));
    }
    await closeConnection(this.#connection, this.#sockets);
  }

  /** Opens a channel, sends the unconfirmed messages again, then the waiting ones. */
  async #start(model: ChannelModel): Promise<void> {
    this.#model = model;
    try {
      const channel = await model.createConfirmChannel();
      channel.on('error', (error: Error) =>
        this.#log.warn({ code: 'reply_channel_error', err: error }, 'error on the reply channel'),
      );
      // A channel can close without its connection. Closing the connection, too, leaves one way to recover.
      channel.on('close', () => {
        if (!this.#closed) void model.close().catch(() => undefined);
      });
      for (const pending of this.#unconfirmed) {
        if (!(await this.#sendAlone(channel, pending))) return;
      }
      if (this.#closed) return;
      this.#channel = channel;
      for (const pending of this.#waiting.splice(0)) this.#publish(channel, pending);
    } catch (error) {
      this.#log.warn(
        { code: 'reply_channel_not_opened', err: error },
        'could not open the reply channel; will retry with the next connection',
      );
    }
  }

  /** Resolves with false if the connection closed first. */
  #sendAlone(channel: ConfirmChannel, pending: Pending): Promise<boolean> {
    this.#alone = pending;
    return new Promise((resolve) => {
      this.#publish(channel, pending, (alive) => {
        if (alive) this.#alone = undefined;
        resolve(alive);
      });
    });
  }

  #publish(channel: ConfirmChannel, pending: Pending, onAnswer: (alive: boolean) => void = () => undefined): void {
    this.#unconfirmed.add(pending);
    const { exchange, routingKey, content, options } = pending;
    try {
      channel.publish(exchange, routingKey, content, options, (error: Error | null) => {
        if (error !== null && error.message !== NACKED) {
          onAnswer(false);
          return;
        }
        this.#settle(pending, error === null ? 'confirmed' : 'refused');
        onAnswer(true);
      });
    } catch (error) {
      // The channel is closing: the message stays unconfirmed and the next connection sends it.
      this.#log.debug({ code: 'reply_channel_closed', err: error }, 'could not send a reply on a closed channel');
      onAnswer(false);
    }
  }

  /**
   * The broker has not confirmed a message in time. Its request goes back to the queue, as it does when a connection is lost,
   * and this connection is cut: what it has not sent yet would be sent twice.
   */
  #giveUp(pending: Pending): void {
    const isSent = this.#unconfirmed.delete(pending);
    if (!isSent) this.#waiting.splice(this.#waiting.indexOf(pending), 1);
    pending.fail(
      new AgentError('BrokerUnavailable', `RabbitMQ has not confirmed a reply within ${this.#deadlineMs} ms.`),
    );
    const model = this.#model;
    if (!isSent || model === undefined) return;
    this.#log.warn(
      { code: 'reply_unconfirmed', unconfirmed: this.#unconfirmed.size },
      'RabbitMQ does not confirm replies; opening the reply connection again',
    );
    this.#model = undefined;
    // Closing it in order would wait for the broker. amqplib's types lack the socket.
    const { stream } = model.connection as unknown as { readonly stream: Duplex };
    stream.destroy(new Error('RabbitMQ does not confirm replies'));
  }

  #settle(pending: Pending, outcome: ReplyOutcome): void {
    this.#unconfirmed.delete(pending);
    pending.settle(outcome);
  }

  #onDisconnect(error: Error & { code?: number }): void {
    this.#channel = undefined;
    this.#model = undefined;
    const suspect = this.#alone;
    this.#alone = undefined;
    this.#log.warn(
      { code: 'reply_connection_lost', err: error, unconfirmed: this.#unconfirmed.size },
      'lost the reply connection',
    );
    if (suspect === undefined || error.code === undefined || NOT_THE_MESSAGE.has(error.code)) return;
    this.#settle(suspect, 'refused');
  }
}
