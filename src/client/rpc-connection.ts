import type { Duplex } from 'node:stream';
import { type ChannelModel, connect } from 'amqplib';
import { amqpTarget, InvalidUrl, parseAmqpUrl } from '../contract/url.ts';
import { WireError } from '../contract/wire-errors.ts';
import { BrokerRefused, NoReply } from './client-errors.ts';
import { type AmqpConnection, openRpc, type Rpc, type RpcOptions } from './rpc.ts';

/** Where the connection comes from: an AMQP URL, an open connection, or a function that returns one. */
export type ConnectionSource = string | AmqpConnection | (() => AmqpConnection | Promise<AmqpConnection>);

/** How long RabbitMQ may take to accept a connection, in ms. */
const CONNECT_TIMEOUT_MS = 10_000;

/** How long RabbitMQ may take to confirm that a connection is closed, in ms. */
const CLOSE_CONFIRM_TIMEOUT_MS = 2000;

/** How long an unused connection stays open, in ms. Many clients share the claimant's limit of connections. */
const IDLE_MS = 20_000;

interface OpenConnection {
  readonly rpc: Rpc;
  /** Closes what was opened here; a connection from the caller stays open. */
  close(): Promise<void>;
}

/** Requests over a connection that is opened on demand, opened again after it was lost, and closed when it is idle. */
export class RpcConnection {
  readonly #source: ConnectionSource;
  readonly #options: RpcOptions;
  readonly #idleMs: number;
  #opening: Promise<OpenConnection> | undefined;
  #users = 0;
  #idle: NodeJS.Timeout | undefined;

  constructor(source: ConnectionSource, options: RpcOptions, idleMs = IDLE_MS) {
    this.#source = source;
    this.#options = options;
    this.#idleMs = idleMs;
  }

  /**
   * Runs `work` with an open channel.
   *
   * @throws WireError `Unavailable` if RabbitMQ cannot be reached; BrokerRefused if it refuses the user; what `work` throws;
   *   the reason of the signal.
   */
  async use<T>(work: (rpc: Rpc) => Promise<T>, signal: AbortSignal): Promise<T> {
    signal.throwIfAborted();
    clearTimeout(this.#idle);
    this.#users += 1;
    try {
      return await work(await unlessAborted(this.#open(), signal));
    } catch (error) {
      // The connection may be lost unnoticed: heartbeats report it only after a minute or two.
      if (error instanceof NoReply && !error.confirmed) void this.close();
      throw error;
    } finally {
      this.#users -= 1;
      if (this.#users === 0) this.#idle = setTimeout(() => void this.close(), this.#idleMs).unref();
    }
  }

  /** Closes the connection, and does not wait long for one that is slow to open or close. The next request opens another. */
  async close(): Promise<void> {
    clearTimeout(this.#idle);
    const opening = this.#opening;
    this.#opening = undefined;
    const closed = opening?.then((open) => open.close()).catch(() => undefined);
    let timer: NodeJS.Timeout | undefined;
    const timeout = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, CLOSE_CONFIRM_TIMEOUT_MS);
    });
    await Promise.race([closed, timeout]);
    clearTimeout(timer);
  }

  async #open(): Promise<Rpc> {
    for (;;) {
      const opening = (this.#opening ??= openConnection(this.#source, this.#options));
      try {
        const open = await opening;
        if (open.rpc.isOpen) return open.rpc;
        this.#forget(opening);
        await open.close();
      } catch (error) {
        this.#forget(opening);
        throw error;
      }
    }
  }

  /** Unless a newer one has replaced it. */
  #forget(opening: Promise<OpenConnection>): void {
    if (this.#opening === opening) this.#opening = undefined;
  }
}

async function openConnection(source: ConnectionSource, options: RpcOptions): Promise<OpenConnection> {
  if (typeof source !== 'string') {
    try {
      const rpc = await openRpc(typeof source === 'function' ? await source() : source, options);
      return { rpc, close: () => rpc.close().catch(() => undefined) };
    } catch (error) {
      throw new WireError('Unavailable', `The connection from the caller cannot be used: ${reasonOf(error)}.`);
    }
  }
  const connection = await connectTo(source);
  const close = (): Promise<void> => closeRpcConnection(connection);
  try {
    return { rpc: await openRpc(connection, options), close };
  } catch (error) {
    await close();
    throw new WireError('Unavailable', `The connection to RabbitMQ was lost: ${reasonOf(error)}.`);
  }
}

/** Options of {@link connectTo}. */
export interface ConnectOptions {
  /** Certificates in PEM to trust instead of the system's. */
  readonly ca?: string | undefined;
}

/**
 * Connects to RabbitMQ.
 *
 * @throws WireError `Unavailable` if it cannot be reached; BrokerRefused if it refuses the user or the vhost. No message
 *   holds the URL, which contains a password.
 */
export async function connectTo(url: string, { ca }: ConnectOptions = {}): Promise<ChannelModel> {
  let connection: ChannelModel;
  try {
    connection = await connect(amqpTarget(parseAmqpUrl(url)), {
      timeout: CONNECT_TIMEOUT_MS,
      noDelay: true,
      ...(ca === undefined ? {} : { ca: [ca] }),
      clientProperties: { connection_name: 'pulse-agent client' },
    });
  } catch (error) {
    if (error instanceof InvalidUrl) throw new BrokerRefused(`The URL of RabbitMQ ${error.message}.`);
    throw connectFault(reasonOf(error));
  }
  // An error also closes the channels, which reject the requests in progress.
  connection.on('error', () => undefined);
  return connection;
}

/** Closes a connection, by force if RabbitMQ does not answer. It never rejects. */
export async function closeRpcConnection(connection: ChannelModel): Promise<void> {
  const closed = new Promise<void>((resolve) => connection.once('close', () => resolve()));
  const answered = Promise.race([closed, connection.close().catch(() => undefined)]);
  // amqplib would wait until heartbeats fail, and has no other way to close a connection by force.
  const { stream } = connection.connection as { readonly stream?: Duplex };
  const timer = setTimeout(() => stream?.destroy(new Error('RabbitMQ does not answer.')), CLOSE_CONFIRM_TIMEOUT_MS);
  await answered;
  clearTimeout(timer);
}

function connectFault(reason: string): Error {
  if (/\b403\b|ACCESS.REFUSED/.test(reason)) return new BrokerRefused('RabbitMQ refuses the user or its password.');
  if (reason.startsWith('Expected ConnectionOpenOk')) {
    // amqplib does not say which one. Retryable, because too many connections is temporary.
    const causes = 'the vhost does not exist, this user may not use it, or it has too many connections';
    return new WireError('Unavailable', `RabbitMQ closed the connection: ${causes}.`);
  }
  return new WireError('Unavailable', `RabbitMQ cannot be reached: ${reason}.`);
}

function reasonOf(error: unknown): string {
  if (error instanceof AggregateError && error.message === '') return error.errors.map(reasonOf).join(', ');
  return error instanceof Error ? error.message.replace(/\.$/, '') : 'for an unknown reason';
}

/** Rejects when the signal aborts. The work goes on for its other callers. */
export function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason as Error);
    signal.addEventListener('abort', onAbort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}
