import type { Channel, ChannelModel, ConfirmChannel, ConsumeMessage } from 'amqplib';

/** What consumers and publishers have not finished on the channels of one connection. */
export interface ChannelTracker {
  /** Cancels the consumers, and resolves when each delivered message is acknowledged or rejected. It never rejects. */
  stopConsumers(): Promise<void>;
  /**
   * Closes the channels when RabbitMQ has answered for each message published with confirms. It never rejects.
   *
   * amqplib can send the end of the connection before acknowledgements that were made earlier, but not the end of the
   * channel.
   */
  close(): Promise<void>;
}

/** The same for one channel. */
type TrackedChannel = ChannelTracker;

/**
 * Counts what happens on every channel that is opened on this connection from now on, because amqplib does not report it.
 * An acknowledgement on a channel that has closed is left out instead of thrown: RabbitMQ delivers that message again.
 *
 * @param onError called when RabbitMQ closes one of the channels or cancels a consumer
 */
export function trackChannels(connection: ChannelModel, onError: (error: Error) => void): ChannelTracker {
  const tracked: TrackedChannel[] = [];
  const track = <C extends Channel>(channel: C): C => {
    // Without a listener the process would end.
    channel.on('error', onError);
    tracked.push(trackChannel(channel, onError));
    return channel;
  };
  const createChannel = connection.createChannel.bind(connection);
  const createConfirmChannel = connection.createConfirmChannel.bind(connection);
  connection.createChannel = async (options) => track(await createChannel(options));
  connection.createConfirmChannel = async (options) => track(await createConfirmChannel(options));
  return {
    stopConsumers: async () => void (await Promise.all(tracked.map((channel) => channel.stopConsumers()))),
    close: async () => void (await Promise.all(tracked.map((channel) => channel.close()))),
  };
}

function trackChannel(channel: Channel | ConfirmChannel, onError: (error: Error) => void): TrackedChannel {
  const consumers = new Set<string>();
  const unsettled = new Set<number>();
  let onFinished: (() => void) | undefined;
  const check = (): void => {
    if (unsettled.size === 0) onFinished?.();
  };

  const consume = channel.consume.bind(channel);
  channel.consume = async (queue, onMessage, options) => {
    const onDelivery = (message: ConsumeMessage | null): void => {
      if (message === null)
        onError(new Error(`RabbitMQ cancelled the consumer of ${queue}: the queue was deleted, or its node is down.`));
      else if (options?.noAck !== true) unsettled.add(message.fields.deliveryTag);
      onMessage(message);
    };
    const reply = await consume(queue, onDelivery, options);
    consumers.add(reply.consumerTag);
    return reply;
  };

  const settle = (last: number, allUpTo = false): void => {
    for (const tag of unsettled) if (tag === last || (allUpTo && tag < last)) unsettled.delete(tag);
    check();
  };
  const settleAll = (): void => settle(Number.POSITIVE_INFINITY, true);
  const ack = channel.ack.bind(channel);
  const nack = channel.nack.bind(channel);
  const reject = channel.reject.bind(channel);
  const ackAll = channel.ackAll.bind(channel);
  const nackAll = channel.nackAll.bind(channel);
  channel.ack = (message, allUpTo) => {
    unlessClosed(() => ack(message, allUpTo));
    settle(message.fields.deliveryTag, allUpTo);
  };
  channel.nack = (message, allUpTo, requeue) => {
    unlessClosed(() => nack(message, allUpTo, requeue));
    settle(message.fields.deliveryTag, allUpTo);
  };
  channel.reject = (message, requeue) => {
    unlessClosed(() => reject(message, requeue));
    settle(message.fields.deliveryTag);
  };
  channel.ackAll = () => {
    unlessClosed(() => ackAll());
    settleAll();
  };
  channel.nackAll = (requeue) => {
    unlessClosed(() => nackAll(requeue));
    settleAll();
  };
  channel.once('close', settleAll);

  return {
    async stopConsumers() {
      await Promise.all([...consumers].map((tag) => channel.cancel(tag).catch(() => undefined)));
      await new Promise<void>((resolve) => {
        onFinished = resolve;
        check();
      });
    },
    async close() {
      if ('waitForConfirms' in channel) await channel.waitForConfirms().catch(() => undefined);
      await channel.close().catch(() => undefined);
    },
  };
}

/** By its name: the program may use another copy of amqplib. */
function unlessClosed(send: () => void): void {
  try {
    send();
  } catch (error) {
    if (!(error instanceof Error) || error.name !== 'IllegalOperationError') throw error;
  }
}
