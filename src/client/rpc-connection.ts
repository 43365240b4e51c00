import type { Duplex } from 'node:stream';
import { type ChannelModel, connect } from 'amqplib';
import { WireError } from '../contract/wire-errors.ts';
import { BrokerRefused, NoReply } from './client-errors.ts';
import { type AmqpConnection, openRpc, type Rpc, type RpcOptions } from './rpc.ts';

/** Where the connection comes from: an AMQP URL, a connection that is there, or a function that gives one. */
export type ConnectionSource = string | AmqpConnection | (() => AmqpConnection | Promise<AmqpConnection>);

/** How long RabbitMQ may take to accept a connection, in ms. */
const CONNECT_TIMEOUT_MS = 10_000;

/** How long RabbitMQ may take to answer that a connection is closed, in ms. */
const CLOSE_PATIENCE_MS = 2000;

/** After how many ms without a request a connection of one's own is closed: many share the claimant's limit of them. */
const IDLE_MS = 20_000;

interface OpenConnection {
  readonly rpc: Rpc;
  /** Ends what was opened here, and nothing that was given. */
  close(): Promise<void>;
}

/** Requests over a connection that is opened when one is sent, again when it is gone, and closed when it is idle. */
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
   * Does some work with an open channel.
   *
   * @throws WireError `Unavailable` when RabbitMQ cannot be reached; BrokerRefused when it does not let this user in;
   *   what `work` throws; the reason of the signal.
   */
  async use<T>(work: (rpc: Rpc) => Promise<T>, signal: AbortSignal): Promise<T> {
    signal.throwIfAborted();
    clearTimeout(this.#idle);
    this.#users += 1;
    try {
      return await work(await untilAborted(this.#open(), signal));
    } catch (error) {
      // It may be dead without anybody having said so: heartbeats tell after a minute or two.
      if (error instanceof NoReply && !error.confirmed) void this.close();
      throw error;
    } finally {
      this.#users -= 1;
      if (this.#users === 0) this.#idle = setTimeout(() => void this.close(), this.#idleMs).unref();
    }
  }

  /** Closes what is open, and later what takes long to come or to answer; another request opens it again. */
  async close(): Promise<void> {
    clearTimeout(this.#idle);
    const opening = this.#opening;
    this.#opening = undefined;
    const closed = opening?.then((open) => open.close()).catch(() => undefined);
    let timer: NodeJS.Timeout | undefined;
    const patience = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, CLOSE_PATIENCE_MS);
    });
    await Promise.race([closed, patience]);
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

  /** Only if nobody has put a newer one in its place. */
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
      throw new WireError('Unavailable', `The connection that was given cannot be used: ${reasonOf(error)}.`);
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

/** How to connect. */
export interface ConnectOptions {
  /** Certificates in PEM that are trusted instead of those of the system. */
  readonly ca?: string | undefined;
}

/**
 * Connects to RabbitMQ.
 *
 * @throws WireError `Unavailable` when it cannot be reached, BrokerRefused when it refuses the user or the vhost. No
 *   message holds the URL, which has a password in it.
 */
export async function connectTo(url: string, { ca }: ConnectOptions = {}): Promise<ChannelModel> {
  let connection: ChannelModel;
  try {
    connection = await connect(url, {
      timeout: CONNECT_TIMEOUT_MS,
      noDelay: true,
      ...(ca === undefined ? {} : { ca: [ca] }),
      clientProperties: { connection_name: 'pulse-agent client' },
    });
  } catch (error) {
    throw connectFault(reasonOf(error));
  }
  // What breaks it closes its channels too, and they tell whoever waits.
  connection.on('error', () => undefined);
  return connection;
}

/** Closes a connection; one that does not answer is cut. It never rejects. */
export async function closeRpcConnection(connection: ChannelModel): Promise<void> {
  const closed = new Promise<void>((resolve) => connection.once('close', () => resolve()));
  const answered = Promise.race([closed, connection.close().catch(() => undefined)]);
  // amqplib would wait for as long as heartbeats take to fail, and has no other way to end a connection.
  const { stream } = connection.connection as { readonly stream?: Duplex };
  const timer = setTimeout(() => stream?.destroy(new Error('It does not answer.')), CLOSE_PATIENCE_MS);
  await answered;
  clearTimeout(timer);
}

function connectFault(reason: string): Error {
  if (reason.startsWith('Expected amqp: or amqps:')) {
    return new BrokerRefused('The URL of RabbitMQ must begin with amqp:// or amqps://.');
  }
  if (/\b403\b|ACCESS.REFUSED/.test(reason)) return new BrokerRefused('RabbitMQ refuses the user or its password.');
  if (reason.startsWith('Expected ConnectionOpenOk')) {
    // amqplib does not tell which: too many connections become fewer.
    const causes = 'the vhost is not there, this user may not use it, or has too many connections';
    return new WireError('Unavailable', `RabbitMQ closed the connection: ${causes}.`);
  }
  return new WireError('Unavailable', `RabbitMQ cannot be reached: ${reason}.`);
}

function reasonOf(error: unknown): string {
  if (error instanceof AggregateError && error.message === '') return error.errors.map(reasonOf).join(', ');
  return error instanceof Error ? error.message.replace(/\.$/, '') : 'for an unknown reason';
}

/** Rejects when the signal is aborted; what is under way goes on for whoever else waits for it. */
function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason as Error);
    signal.addEventListener('abort', onAbort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}
