import { EventEmitter } from 'node:events';
import type { ChannelModel, RecoveringChannelModel } from 'amqplib';
import type { OnDemandConnection } from '../../src/broker/amqp/on-demand-connection.ts';

type Callback = (error: Error | null) => void;

/** What a fake broker does with a message, by its routing key. */
export type Reaction = 'confirm' | 'nack' | 'kill' | 'nothing';

/** A connection to the fake broker, with one confirm channel. It handles in one turn what was published in the one before. */
class FakeModel extends EventEmitter {
  readonly #broker: FakeReplyBroker;
  readonly #channel = new EventEmitter();
  #published: { readonly routingKey: string; readonly onConfirm: Callback }[] = [];
  #isScheduled = false;
  isOpen = true;
  readonly connection = { stream: { destroy: (error: Error) => this.end(error) } };

  constructor(broker: FakeReplyBroker) {
    super();
    this.#broker = broker;
  }

  async createConfirmChannel(): Promise<unknown> {
    const publish = (
      _exchange: string,
      routingKey: string,
      _content: Buffer,
      _options: object,
      onConfirm: Callback,
    ) => {
      if (!this.isOpen) throw new Error('Channel closed');
      this.#published.push({ routingKey, onConfirm });
      if (!this.#isScheduled) setImmediate(() => this.#handle());
      this.#isScheduled = true;
    };
    return Object.assign(this.#channel, { publish });
  }

  async close(): Promise<void> {
    this.end();
  }

  /** Closes the connection, as amqplib reports it. */
  end(error?: Error & { code?: number }): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    for (const { onConfirm } of this.#published.splice(0)) onConfirm(new Error('channel closed'));
    this.#channel.emit('close');
    this.emit('close', error);
  }

  #handle(): void {
    this.#isScheduled = false;
    if (!this.isOpen) return;
    const reactions = this.#published.map(({ routingKey }) => this.#broker.take(routingKey));
    // A broker confirms several messages together: those before a deadly one are not confirmed.
    if (reactions.includes('kill')) {
      this.end(Object.assign(new Error('INTERNAL_ERROR'), { code: 541 }));
      return;
    }
    const waiting = this.#published.filter((_, index) => reactions[index] === 'nothing');
    for (const [index, { onConfirm }] of this.#published.entries()) {
      if (reactions[index] === 'confirm') onConfirm(null);
      if (reactions[index] === 'nack') onConfirm(new Error('message nacked'));
    }
    this.#published = waiting;
  }
}

/** A broker for an outbox, without a network: what RabbitMQ 3.10 does with a reply whose node is gone. */
export class FakeReplyBroker {
  /** How often a message closed the shared connection, and the separate one. */
  readonly deaths = { shared: 0, separate: 0 };
  /** The routing keys that arrived, in order. */
  readonly arrived: string[] = [];
  readonly react: (routingKey: string) => Reaction;
  readonly connection = new EventEmitter() as EventEmitter & Pick<RecoveringChannelModel, 'on'>;
  readonly separate: OnDemandConnection;
  #shared: FakeModel | undefined;
  #separate: FakeModel | undefined;

  constructor(react: (routingKey: string) => Reaction) {
    this.react = react;
    this.separate = {
      use: async (work) => {
        if (this.#separate?.isOpen !== true) {
          this.#separate = new FakeModel(this);
          this.#separate.once('close', (error?: Error) => {
            if (error !== undefined) this.deaths.separate += 1;
          });
        }
        return await work(this.#separate as unknown as ChannelModel);
      },
      close: async () => this.#separate?.end(),
    };
  }

  /** Opens the shared connection, and again whenever it is lost. */
  open(): void {
    const model = new FakeModel(this);
    this.#shared = model;
    model.once('close', (error?: Error & { code?: number }) => {
      if (error?.code !== undefined) this.deaths.shared += 1;
      this.connection.emit('disconnect', error ?? new Error('Connection closed'));
      setImmediate(() => this.open());
    });
    this.connection.emit('connect', model);
  }

  /** Loses the shared connection without a word of the broker. */
  cut(): void {
    this.#shared?.end(new Error('read ECONNRESET'));
  }

  take(routingKey: string): Reaction {
    this.arrived.push(routingKey);
    return this.react(routingKey);
  }
}
