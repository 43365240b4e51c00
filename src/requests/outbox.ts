import type { Duplex } from 'node:stream';
import type { ChannelModel, ConfirmChannel, RecoveringChannelModel } from 'amqplib';
import { closeConnection } from '../broker/amqp/connection.ts';
import { createOnDemandConnection } from '../broker/amqp/on-demand-connection.ts';
import { openRecoveringConnection, type RecoveringConnectionOptions } from '../broker/amqp/recovering-connection.ts';
import { AgentError } from '../util/agent-errors.ts';
import { waitAtMost } from '../util/deadline.ts';
import { NACKED, type OutgoingMessage, Pending, type ReplyOutcome } from './outgoing.ts';
import { LISTING_PATIENCE_MS, mayBeOfMessage, ReplyIsolation, type ReplyIsolationParts } from './reply-isolation.ts';
import { isShortString } from './short-string.ts';

/** Where {@link openOutbox} connects to, and what it works with. */
export interface OutboxOptions extends RecoveringConnectionOptions, Omit<ReplyIsolationParts, 'connection'> {
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

/**
 * Opens the outbox. When a message may have closed its connection, those that were unconfirmed are sent one at a time over
 * another connection (see {@link ReplyIsolation}), and all others go on. After any other loss they are sent again, without
 * replies to nodes that are down.
 */
export async function openOutbox(options: OutboxOptions): Promise<Outbox> {
  const { connection, sockets } = await openRecoveringConnection(options);
  const { amqpUrl, addressChoice, ca, connectionName } = options;
  const isolated = createOnDemandConnection({
    amqpUrl,
    addressChoice,
    ca,
    connectionName: `${connectionName}, one at a time`,
  });
  const isolation = new ReplyIsolation({ ...options, connection: isolated });
  const outbox = createOutbox({ ...options, connection, isolation, close: () => closeConnection(connection, sockets) });
  await connection.waitForConnect();
  return outbox;
}

/** What {@link createOutbox} works with. */
interface OutboxParts extends Pick<OutboxOptions, 'log' | 'nodes' | 'sendDeadlineMs'> {
  readonly connection: Pick<RecoveringChannelModel, 'on'>;
  readonly isolation: ReplyIsolation;
  readonly close: () => Promise<void>;
}

/** Creates the outbox of a connection that is being opened. */
export function createOutbox(parts: OutboxParts): Outbox {
  return new ConnectionOutbox(parts);
}

/** For text that is too long amqplib throws as it does for a closed channel: the message would be sent again forever. */
function isSendable({ exchange, routingKey, options }: OutgoingMessage): boolean {
  const { contentType, correlationId, type } = options;
  const texts: unknown[] = [exchange, routingKey, contentType, correlationId, type];
  return texts.every((text) => typeof text !== 'string' || isShortString(text));
}

class ConnectionOutbox implements Outbox {
  readonly #parts: OutboxParts;
  /** Sent and not confirmed, in the order of sending. */
  readonly #unconfirmed = new Set<Pending>();
  /** Not sent yet: there is no channel. */
  #waiting: Pending[] = [];
  #channel: ConfirmChannel | undefined;
  #closed = false;
  #model: ChannelModel | undefined;
  /** The listing of the nodes since the last loss. */
  #listing: Promise<unknown> = Promise.resolve();

  constructor(parts: OutboxParts) {
    this.#parts = parts;
    const { connection, log } = parts;
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
        this.#parts.log.error(
          { code: 'reply_unsendable', routingKey: message.routingKey },
          'a reply has a property that AMQP cannot carry',
        );
        settle('refused');
        return;
      }
      const { sendDeadlineMs = SEND_DEADLINE_MS } = this.#parts;
      this.#route([new Pending(message, { settle, fail }, sendDeadlineMs, (late) => this.#giveUp(late))]);
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#channel = undefined;
    const left = [...this.#unconfirmed, ...this.#waiting.splice(0), ...this.#parts.isolation.stop()];
    this.#unconfirmed.clear();
    for (const pending of left) {
      pending.fail(new AgentError('Stopping', 'The agent stopped before the broker confirmed the message.'));
    }
    await Promise.all([this.#parts.isolation.close(), this.#parts.close()]);
  }

  /** Sends each message as far as it may be sent now. */
  #route(messages: readonly Pending[]): void {
    const { isolation } = this.#parts;
    for (const pending of isolation.withoutGone(messages)) {
      if (isolation.takes(pending)) continue;
      if (this.#channel === undefined) this.#waiting.push(pending);
      else this.#publish(this.#channel, pending);
    }
  }

  /** Opens a channel and sends what waits. */
  async #start(model: ChannelModel): Promise<void> {
    this.#model = model;
    const { log } = this.#parts;
    try {
      const channel = await model.createConfirmChannel();
      channel.on('error', (error: Error) =>
        log.warn({ code: 'reply_channel_error', err: error }, 'error on the reply channel'),
      );
      // A channel can close without its connection. Closing the connection, too, leaves one way to recover.
      channel.on('close', () => {
        if (!this.#closed) void model.close().catch(() => undefined);
      });
      // What waits may be for requesters whose node went down together with the last connection.
      await this.#listing;
      if (this.#closed || this.#model !== model) return;
      this.#channel = channel;
      this.#route(this.#waiting.splice(0));
    } catch (error) {
      log.warn(
        { code: 'reply_channel_not_opened', err: error },
        'could not open the reply channel; will retry with the next connection',
      );
    }
  }

  #publish(channel: ConfirmChannel, pending: Pending): void {
    this.#unconfirmed.add(pending);
    const { exchange, routingKey, content, options } = pending.message;
    try {
      channel.publish(exchange, routingKey, content, options, (error: Error | null) => {
        // Otherwise the channel has closed: the message stays unconfirmed and is sent again.
        if (error === null) this.#settle(pending, 'confirmed');
        else if (error.message === NACKED) this.#settle(pending, 'refused');
      });
    } catch (error) {
      // The channel is closing: the message stays unconfirmed and is sent again.
      this.#parts.log.debug({ code: 'reply_channel_closed', err: error }, 'could not send a reply on a closed channel');
    }
  }

  /**
   * The broker has not confirmed a message in time. Its request goes back to the queue, as it does when a connection is lost,
   * and this connection is cut: what it has not sent yet would be sent twice.
   */
  #giveUp(pending: Pending): void {
    const { isolation, log, sendDeadlineMs = SEND_DEADLINE_MS } = this.#parts;
    const isSent = this.#unconfirmed.delete(pending);
    pending.fail(
      new AgentError('BrokerUnavailable', `RabbitMQ has not confirmed a reply within ${sendDeadlineMs} ms.`),
    );
    if (!isSent) {
      if (!isolation.giveUp(pending)) this.#waiting = this.#waiting.filter((waiting) => waiting !== pending);
      return;
    }
    const model = this.#model;
    if (model === undefined) return;
    log.warn(
      { code: 'reply_unconfirmed', unconfirmed: this.#unconfirmed.size },
      'RabbitMQ does not confirm replies; opening the reply connection again',
    );
    this.#model = undefined;
    // Closing it in order would wait for the broker. amqplib's types lack the socket.
    const { stream } = model.connection as unknown as { readonly stream: Duplex };
    stream.destroy(new Error('RabbitMQ does not confirm replies'));
  }

  #settle(pending: Pending, outcome: ReplyOutcome): void {
    // A message that was given up may still be confirmed.
    if (this.#unconfirmed.delete(pending)) pending.settle(outcome);
  }

  #onDisconnect(error: Error & { code?: number }): void {
    const { isolation, log, nodes } = this.#parts;
    this.#channel = undefined;
    this.#model = undefined;
    const lost = [...this.#unconfirmed];
    this.#unconfirmed.clear();
    log.warn({ code: 'reply_connection_lost', err: error, unconfirmed: lost.length }, 'lost the reply connection');
    if (mayBeOfMessage(error)) isolation.suspect(lost);
    else {
      this.#waiting.unshift(...lost);
      this.#listing = waitAtMost(LISTING_PATIENCE_MS, nodes.listAgain());
    }
  }
}
