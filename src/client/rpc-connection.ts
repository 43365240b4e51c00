import { WireError } from '../contract/wire-errors.ts';
import { alarmText, type BrokerAlarm, watchAlarm } from './broker-alarm.ts';
import { CLOSE_CONFIRM_TIMEOUT_MS, closeRpcConnection, connectToOne, parseBrokerUrls } from './amqp-connection.ts';
import { BrokerAddresses, type ReachedConnection } from './broker-addresses.ts';
import { formatAmqpUrl } from '../contract/url.ts';
import { NoReply } from './client-errors.ts';
import { messageOf } from './connect-fault.ts';
import { type AmqpConnection, openRpc, type Rpc, type RpcOptions } from './rpc.ts';

/** Where the connection comes from: an AMQP URL or several with commas between, an open connection, or a function that returns one. */
export type ConnectionSource = string | AmqpConnection | (() => AmqpConnection | Promise<AmqpConnection>);

/** Options of {@link RpcConnection}. */
export interface RpcConnectionOptions extends RpcOptions {
  /** CA certificates in PEM to trust instead of the system's. */
  readonly ca?: string | undefined;
  /** Which order of the addresses is tried; that of the list when absent. At least 0, less than 1. */
  readonly spread?: number;
}

/** How long an unused connection stays open, in ms. Many clients share the claimant's limit of connections. */
const IDLE_MS = 20_000;

/** With RabbitMQ's minute, it would notice late that the client has closed a connection which an alarm blocks. */
const HEARTBEAT_SECONDS = 10;

interface OpenConnection {
  readonly rpc: Rpc;
  readonly alarm: BrokerAlarm;
  /** Closes what was opened here; a connection from the caller stays open. */
  close(): Promise<void>;
  /** RabbitMQ answers nothing on this connection: the next one is opened elsewhere, if it can be. */
  readonly avoidAddress: () => void;
}

interface Opening {
  readonly connection: Promise<OpenConnection>;
  /** Once it is open. */
  open?: OpenConnection;
  /** Cuts the connection while it opens. */
  readonly cut: AbortController;
}

/** Requests over a connection that is opened on demand, opened again after it was lost, and closed when it is idle. */
export class RpcConnection {
  readonly #source: ConnectionSource;
  readonly #options: RpcConnectionOptions;
  readonly #idleMs: number;
  #addresses: BrokerAddresses | undefined;
  #opening: Opening | undefined;
  #users = 0;
  #idle: NodeJS.Timeout | undefined;

  constructor(source: ConnectionSource, options: RpcConnectionOptions, idleMs = IDLE_MS) {
    this.#source = source;
    this.#options = options;
    this.#idleMs = idleMs;
  }

  /**
   * Runs `work` with an open channel. While an alarm blocks the connection, waits until it is over.
   *
   * @throws WireError `Unavailable` if RabbitMQ cannot be reached, or has an alarm until the signal aborts; BrokerRefused if
   *   it refuses the user; what `work` throws; the reason of the signal.
   */
  async use<T>(work: (rpc: Rpc) => Promise<T>, signal: AbortSignal): Promise<T> {
    signal.throwIfAborted();
    clearTimeout(this.#idle);
    this.#users += 1;
    try {
      const open = await unlessAborted(this.#open(), signal);
      await open.alarm.untilOver(signal);
      return await work(open.rpc).catch((error: unknown) => {
        throw this.#explainNoReply(error, open);
      });
    } finally {
      this.#users -= 1;
      if (this.#users === 0) this.#idle = setTimeout(() => void this.close(), this.#idleMs).unref();
    }
  }

  /** A request that RabbitMQ has not confirmed waits for the end of an alarm, or the connection is lost. */
  #explainNoReply(error: unknown, open: OpenConnection): unknown {
    if (!(error instanceof NoReply) || error.confirmed) return error;
    const { reason } = open.alarm;
    if (reason !== undefined) return new NoReply(alarmText(reason), { cause: error });
    // Heartbeats would report it only after 20 s.
    open.avoidAddress();
    this.#forget(open);
    void open.close();
    return error;
  }

  /** Closes the connection, and does not wait long for one that is slow to open or close. The next request opens another. */
  async close(): Promise<void> {
    clearTimeout(this.#idle);
    const opening = this.#opening;
    this.#opening = undefined;
    opening?.cut.abort();
    const closed = opening?.connection.then((open) => open.close()).catch(() => undefined);
    let timer: NodeJS.Timeout | undefined;
    const timeout = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, CLOSE_CONFIRM_TIMEOUT_MS + 1000);
    });
    await Promise.race([closed, timeout]);
    clearTimeout(timer);
  }

  async #open(): Promise<OpenConnection> {
    for (;;) {
      const opening = (this.#opening ??= this.#begin());
      try {
        const open = await opening.connection;
        if (open.rpc.isOpen) return open;
        this.#forget(open);
        await open.close();
      } catch (error) {
        if (this.#opening === opening) this.#opening = undefined;
        throw error;
      }
    }
  }

  #begin(): Opening {
    const cut = new AbortController();
    const opening: Opening = { cut, connection: this.#connect(cut.signal) };
    opening.connection.then(
      (open) => (opening.open = open),
      () => undefined,
    );
    return opening;
  }

  async #connect(cut: AbortSignal): Promise<OpenConnection> {
    const { ca } = this.#options;
    if (typeof this.#source !== 'string') return await useConnection(this.#source, this.#options);
    const options = { ca, heartbeatSeconds: HEARTBEAT_SECONDS, signal: cut };
    const urls = parseBrokerUrls(this.#source).map(formatAmqpUrl);
    this.#addresses ??= new BrokerAddresses(urls.length, this.#options.spread);
    const reached = await this.#addresses.connect(urls, (url) => connectToOne(url, options), cut);
    return await openConnection(reached, this.#options, cut);
  }

  /** Unless a newer one has replaced it. */
  #forget(open: OpenConnection): void {
    if (this.#opening?.open === open) this.#opening = undefined;
  }
}

async function useConnection(source: Exclude<ConnectionSource, string>, options: RpcOptions): Promise<OpenConnection> {
  try {
    const connection = typeof source === 'function' ? await source() : source;
    const alarm = watchAlarm(connection);
    const rpc = await openRpc(connection, options);
    return { rpc, alarm, close: () => rpc.close().catch(() => undefined), avoidAddress: () => undefined };
  } catch (cause) {
    const message = `The connection from the caller cannot be used: ${messageOf(cause)}.`;
    throw new WireError('Unavailable', message, { cause });
  }
}

async function openConnection(
  { connection, avoidAddress }: ReachedConnection,
  options: RpcOptions,
  cut: AbortSignal,
): Promise<OpenConnection> {
  let closed: Promise<void> | undefined;
  // Each request that finds the connection lost closes it.
  const close = (): Promise<void> => (closed ??= closeRpcConnection(connection));
  const cutShort = (): void => void close();
  cut.addEventListener('abort', cutShort, { once: true });
  try {
    const alarm = watchAlarm(connection);
    return { rpc: await openRpc(connection, options), alarm, close, avoidAddress };
  } catch (cause) {
    await close();
    throw new WireError('Unavailable', `The connection to RabbitMQ was lost: ${messageOf(cause)}.`, { cause });
  } finally {
    cut.removeEventListener('abort', cutShort);
  }
}

/** Rejects when the signal aborts. The work goes on for its other callers. */
export function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason as Error);
    signal.addEventListener('abort', onAbort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}
