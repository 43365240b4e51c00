import type { ChannelModel } from 'amqplib';
import { closeRpcConnection } from './amqp-connection.ts';
import { type ChannelTracker, trackChannels } from './channel-tracker.ts';
import type { Time } from './time.ts';

/** What happens to an open connection. */
export interface ConnectionListener {
  /** It ended. */
  onEnded(error: Error): void;
  /** RabbitMQ closed one of its channels, or cancelled a consumer. */
  onChannelError(error: Error): void;
}

/** One open connection with the credentials of a lease, and the work that runs on it. */
export class OpenedConnection {
  readonly model: ChannelModel;
  readonly connectionString: string;
  readonly #channels: ChannelTracker;
  /** For each piece of work, what interrupts it. */
  readonly #interrupts = new Set<(reason: Error) => void>();
  #onIdle: () => void = () => undefined;
  #ended: Error | undefined;

  constructor(model: ChannelModel, connectionString: string, listener: ConnectionListener) {
    this.model = model;
    this.connectionString = connectionString;
    this.#channels = trackChannels(model, (error) => listener.onChannelError(error));
    // amqplib reports an error a second time with `close`.
    model.on('error', () => undefined);
    model.once('close', (cause?: Error) => {
      if (this.#ended !== undefined) return;
      const reason = cause ?? new Error('RabbitMQ closed the connection.');
      this.#end(reason);
      listener.onEnded(reason);
    });
  }

  /** Whether the connection has ended, or is being closed because its time is up. */
  get hasEnded(): boolean {
    return this.#ended !== undefined;
  }

  /**
   * Runs `work`, and interrupts it when the connection ends or the signal aborts.
   *
   * @throws what `work` throws; why the connection ended; the reason of the signal
   */
  async run<Result>(work: () => Result | Promise<Result>, signal?: AbortSignal): Promise<Result> {
    signal?.throwIfAborted();
    if (this.#ended !== undefined) throw this.#ended;
    return await new Promise<Result>((resolve, reject) => {
      const onAbort = (): void => reject(signal?.reason as Error);
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#interrupts.add(reject);
      const done = (): void => {
        signal?.removeEventListener('abort', onAbort);
        this.#interrupts.delete(reject);
        if (this.#interrupts.size === 0) this.#onIdle();
      };
      Promise.resolve().then(work).then(resolve, reject).finally(done);
    });
  }

  /**
   * Closes it when it has finished what it has begun, or after `limitMs`.
   *
   * @param onQuiet called when its consumers have finished: no further work may begin on it
   */
  async retire(time: Time, limitMs: number, onQuiet: () => void): Promise<void> {
    const over = new AbortController();
    await Promise.race([this.#drain(onQuiet), time.sleep(limitMs, over.signal).catch(() => undefined)]);
    over.abort();
    onQuiet();
    await this.close();
  }

  /** Closes it, and interrupts what runs on it. */
  async close(): Promise<void> {
    this.#end(new Error('The connection was closed.'));
    await closeRpcConnection(this.model);
  }

  async #drain(onQuiet: () => void): Promise<void> {
    await this.#channels.stopConsumers();
    onQuiet();
    await new Promise<void>((resolve) => {
      this.#onIdle = resolve;
      if (this.#interrupts.size === 0) resolve();
    });
    await this.#channels.close();
  }

  #end(reason: Error): void {
    this.#ended ??= reason;
    for (const interrupt of this.#interrupts) interrupt(this.#ended);
  }
}
